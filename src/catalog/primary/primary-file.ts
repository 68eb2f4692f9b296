/**
 * The file that `sqld` is started on. It must be ours from the beginning, because of one number in its header: how many
 * pages a connection keeps in memory. `sqld` refuses the statement that sets it, and its 2 MB are less than a group of
 * writes touches in a large catalog: each page that is evicted within a transaction costs a round through its threads.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { Connection } from '../connection.js';

/** The size of a page in the log for replicas, whatever the file's is. */
const PAGE_SIZE_BYTES = 4096;
/** 64 MiB. */
const CACHE_PAGES = 16_384;

/** Where the file is made, beside the folder of `sqld`, in the same file system. */
export function scratchFolder(dataDir: string): string {
  const scratch = join(dataDir, 'catalog.new');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  return scratch;
}

/** Makes an empty file for a new cluster. @throws ServiceError STATE_CONFLICT when the folder had a catalog. */
export function makeEmptyFile(dataDir: string, catalog: string): void {
  if (existsSync(join(dirname(catalog), 'wallog'))) {
    // With the log of another file, replicas would go on from it without a word (reference libsql.md, finding 8).
    throw new ServiceError(
      'STATE_CONFLICT',
      'expected the catalog beside its log for replicas, there is only the log: restore a backup into an empty folder',
    );
  }
  const scratch = scratchFolder(dataDir);
  const empty = new Connection(join(scratch, 'empty'), 'writer');
  try {
    makeFile(empty, { scratch, catalog });
  } finally {
    empty.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * Makes the file with all that the source has. The new file is never opened here before `sqld` has it: a handle of libsql
 * lives on until its statements are collected, and a file that is opened again meanwhile, renamed or not, shares the index of
 * its log with the handle that is gone, by the number of the inode: "file is not a database", or an older state.
 */
export function makeFile(
  source: Connection,
  { scratch, catalog }: { readonly scratch: string; readonly catalog: string },
): void {
  const made = join(scratch, 'data');
  source.exec(`pragma page_size = ${PAGE_SIZE_BYTES}`);
  source.exec(`pragma default_cache_size = ${CACHE_PAGES}`);
  source.run('vacuum into ?', made);
  sync(made, checkHeader);
  mkdirSync(dirname(catalog), { recursive: true, mode: 0o750 });
  renameSync(made, catalog);
  sync(dirname(catalog));
}

/** fileformat2.html, "The Database Header": the page size is at offset 16, the suggested cache size at 48. */
function checkHeader(descriptor: number): void {
  const header = Buffer.alloc(100);
  readSync(descriptor, header, 0, header.length, 0);
  const [pageSize, cachePages] = [header.readUInt16BE(16), header.readUInt32BE(48)];
  if (pageSize === PAGE_SIZE_BYTES && cachePages === CACHE_PAGES) return;
  const found = `${pageSize} bytes and ${cachePages}`;
  throw new ServiceError(
    'INTERNAL',
    `expected pages of ${PAGE_SIZE_BYTES} bytes and ${CACHE_PAGES} of them, got ${found}`,
  );
}

function sync(path: string, check: (descriptor: number) => void = () => undefined): void {
  const descriptor = openSync(path, 'r');
  try {
    check(descriptor);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
