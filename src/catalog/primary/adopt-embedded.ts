import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { Connection, integerAt } from '../connection.js';
import { pendingMigrations, SELECT_MIGRATIONS } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { primaryFolder } from './primary-folder.js';

/** `sqld` writes pages of this size to its log for replicas, whatever the file's are. */
const PAGE_SIZE_BYTES = 4096;

/**
 * Makes the embedded catalog in the file `from` the catalog of the primary with this data folder. Its node must be stopped.
 * The file is only read; what was in its log is part of what is adopted.
 *
 * @throws ServiceError STATE_CONFLICT when the folder has a catalog, the file is being written, or a newer release wrote it;
 *   INVALID_ARGUMENT when the file is no catalog.
 */
export function adoptEmbeddedCatalog({ from, dataDir }: { readonly from: string; readonly dataDir: string }): void {
  const { catalog } = primaryFolder(resolve(dataDir));
  if (existsSync(catalog)) {
    throw new ServiceError(
      'STATE_CONFLICT',
      'expected a data folder without a catalog, this one has one: name another folder, or start without adopting',
    );
  }
  if (!existsSync(from)) {
    throw new ServiceError('INVALID_ARGUMENT', `expected the file of an embedded catalog, there is none at ${from}`);
  }
  mkdirSync(dirname(catalog), { recursive: true, mode: 0o750 });
  const scratch = join(resolve(dataDir), 'adopting');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { mode: 0o700 });
  try {
    const copy = copyUnchanged(from, join(scratch, 'copy'));
    const converted = join(scratch, 'data');
    convert(copy, converted);
    sync(converted);
    renameSync(converted, catalog);
    sync(dirname(catalog));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Copies the file with its log: opening it, even to read, would move the log's content into it. */
function copyUnchanged(from: string, to: string): string {
  const before = fingerprint(from);
  for (const part of ['', '-wal']) {
    if (existsSync(from + part)) copyFileSync(from + part, to + part, constants.COPYFILE_FICLONE);
  }
  if (fingerprint(from) === before) return to;
  throw new ServiceError('STATE_CONFLICT', 'the catalog to adopt was written meanwhile: stop its node, then retry');
}

function fingerprint(path: string): string {
  return [path, `${path}-wal`]
    .map((file) => statSync(file, { throwIfNoEntry: false }))
    .map((stat) => `${stat?.size ?? ''} ${stat?.mtimeMs ?? ''}`)
    .join(', ');
}

function convert(copy: string, converted: string): void {
  const source = openCatalog(copy);
  try {
    pendingMigrations(source.all(SELECT_MIGRATIONS), MIGRATIONS);
    // Takes effect in the new file.
    source.exec(`pragma page_size = ${PAGE_SIZE_BYTES}`);
    source.run('vacuum into ?', converted);
  } finally {
    source.close();
  }
  // Turns it to WAL, as `sqld` expects.
  const result = new Connection(converted, 'writer');
  const pageSize = integerAt(result.get('pragma page_size') ?? [], 0);
  result.close();
  if (pageSize !== PAGE_SIZE_BYTES) throw new ServiceError('INTERNAL', `the adopted catalog has pages of ${pageSize}`);
}

function openCatalog(path: string): Connection {
  try {
    const connection = new Connection(path, 'writer');
    connection.get('select count(*) from schema_migrations');
    return connection;
  } catch (cause) {
    throw new ServiceError('INVALID_ARGUMENT', 'expected the file of an embedded catalog, this is none', { cause });
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
