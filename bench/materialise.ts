/**
 * An image as a file of the host, from a local file store, against `cp --reflink=auto --sparse=always` of the stored object to the
 * same file system: data that was verified before, and data that this node never read. Each is measured right after one like it that
 * is not: what a virtual machine has freed for some seconds may be with its host, and to get it back takes longer than to copy.
 * `--mib N` (512), `--repeats N` (7).
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { MIB } from '../src/base/units.js';
import { at, type HostNode, materialize, startHostNode } from '../test/support/host-files.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { benchOption, Report } from './support/report.js';

const run = promisify(execFile);
const sizeBytes = benchOption('mib', 512) * MIB;
const repeats = benchOption('repeats', 7);
const report = new Report('materialise');
const folder = await tempFolder('bench-materialise');
try {
  await compare('dense', dense);
  // As the disk of a guest: long holes, and short ones in what is left.
  await compare('a third of it holes', async function* holes() {
    for (let at = 0; at < sizeBytes; at += MIB) {
      const unit = at % (12 * MIB) < 4 * MIB ? Buffer.alloc(MIB) : randomBytes(MIB);
      if (at % (6 * MIB) === 0) unit.fill(0, MIB / 2);
      yield await Promise.resolve(unit);
    }
  });
  report.save();
} finally {
  await folder.remove();
}

async function* dense(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += MIB) yield await Promise.resolve(randomBytes(MIB));
}

async function compare(kind: string, bytes: () => AsyncGenerator<Uint8Array>): Promise<void> {
  let host = await startHostNode(folder.path);
  try {
    const { id } = await host.rest.create({ name: kind, disk_format: 'raw', container_format: 'bare' });
    const { status } = await host.rest.upload(id, bytes());
    if (status !== 204) throw new Error(`the upload answered ${status}`);
    const other = await host.rest.create({ name: 'other', disk_format: 'raw', container_format: 'bare' });
    await host.rest.upload(other.id, dense());
    const object = await objectIn(path.join(folder.path, 'data', 'images'));
    const times = { first: [] as number[], again: [] as number[], flushed: [] as number[] };
    const copies = { plain: [] as number[], flushed: [] as number[] };
    for (let turn = 0; turn < repeats; turn += 1) {
      // A node that just started has verified nothing.
      await host.stop();
      host = await startHostNode(folder.path);
      await fetched(host, other.id, { noFlush: true });
      times.first.push(await fetched(host, id, { noFlush: true }));
    }
    for (let turn = 0; turn < repeats; turn += 1) {
      await copied(object, { flush: false });
      copies.plain.push(await copied(object, { flush: false }));
      await fetched(host, other.id, { noFlush: true });
      times.again.push(await fetched(host, id, { noFlush: true }));
      copies.flushed.push(await copied(object, { flush: true }));
      times.flushed.push(await fetched(host, id, { noFlush: false }));
    }
    const against = (subject: string, values: readonly number[], cp: readonly number[], target?: string): void =>
      report.add(
        `${kind}: ${subject}`,
        'ms',
        [
          { subject: 'Oriel', values },
          { subject: 'cp', values: cp },
        ],
        target,
      );
    against('verified before', times.again, copies.plain, '≤ 1.1');
    against('never verified', times.first, copies.plain);
    against('verified before, flushed', times.flushed, copies.flushed);
  } finally {
    await host.stop();
    await rm(path.join(folder.path, 'data'), { recursive: true, force: true });
  }
}

/** The stored object, which is the largest file of the store. */
async function objectIn(store: string): Promise<string> {
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && (await stat(file)).size === sizeBytes) return file;
  }
  throw new Error('the stored object was not found');
}

/** Milliseconds of a call over the unix socket, from the request to the file. */
async function fetched({ host }: HostNode, imageId: string, { noFlush }: { noFlush: boolean }): Promise<number> {
  const file = path.join(folder.path, 'files', 'oriel');
  const started = performance.now();
  await materialize(host, { imageId, target: at(file), noFlush });
  const tookMs = performance.now() - started;
  await rm(file);
  return tookMs;
}

async function copied(object: string, { flush }: { flush: boolean }): Promise<number> {
  const file = path.join(folder.path, 'files', 'cp');
  const started = performance.now();
  await run('cp', ['--reflink=auto', '--sparse=always', object, file]);
  if (flush) {
    const handle = await open(file);
    await handle.sync();
    await handle.close();
  }
  const tookMs = performance.now() - started;
  await rm(file);
  return tookMs;
}
