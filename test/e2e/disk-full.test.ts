/**
 * A node whose file system is full: 8 MiB of memory, mounted in a mount namespace of the node's own, which ends with it.
 * The test sees it through /proc/PID/root.
 */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNode, type TestNode } from '../support/node.js';
import { RestClient } from '../support/rest-client.js';
import { SeededRandom } from '../support/seeded-random.js';
import { storedFiles } from '../support/stored-files.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';

const MIB = 1024 * 1024;
const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const UNSHARE = process.getuid?.() === 0 ? '-m' : '-rm';

/** Mounts 8 MiB at the folder and becomes the command. */
function smallFileSystem(folder: string): readonly string[] {
  return ['unshare', UNSHARE, 'sh', '-c', 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"', folder];
}

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += 64 * 1024) {
    // Lets the answer arrive while the body is still being sent.
    await new Promise((resolve) => setImmediate(resolve));
    yield bytes.subarray(start, start + 64 * 1024);
  }
}

const canMount = hasTool('unshare', [UNSHARE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);

describe.skipIf(!canMount)('a full disk', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let node: TestNode | undefined;
  const random = new SeededRandom(2);

  beforeEach(async () => {
    folder = await tempFolder('full');
  });

  afterEach(async () => {
    await node?.stop();
    node = undefined;
    await folder.remove();
  });

  it('of the store: 413, the image is queued again and nothing is left', async () => {
    node = await startNode({ dataDir: folder.path, wrapper: smallFileSystem(folder.path) });
    const inside = path.join('/proc', String(node.pid), 'root', folder.path);
    const rest = new RestClient(node.httpUrl);
    const image = await rest.create({ name: 'too big', ...FORMATS });
    const tooBig = random.bytes(12 * MIB);

    expect((await rest.upload(image.id, tooBig)).status).toBe(413);
    expect(await rest.show(image.id)).toMatchObject({ status: 'queued', size: null });
    expect((await rest.upload(image.id, inParts(tooBig))).status).toBe(413);
    await eventually(
      () => rest.show(image.id),
      (shown) => shown.status === 'queued',
    );
    await eventually(
      () => storedFiles(inside),
      (files) => files.length === 0,
    );

    expect((await rest.upload(image.id, random.bytes(MIB))).status).toBe(204);
    expect(await rest.digest(image.id)).toMatchObject({ status: 200, sizeBytes: MIB });
  });

  it('of the catalog: 503, images intact, and writes again once there is room', async () => {
    node = await startNode({ dataDir: folder.path, wrapper: smallFileSystem(folder.path) });
    const filler = path.join('/proc', String(node.pid), 'root', folder.path, 'filler');
    const rest = new RestClient(node.httpUrl);
    const image = await rest.create({ name: 'before', ...FORMATS });
    const bytes = random.bytes(1000);
    expect((await rest.upload(image.id, bytes)).status).toBe(204);

    await expect(writeFile(filler, new Uint8Array(16 * MIB))).rejects.toThrow('ENOSPC');
    // The write-ahead log may have room left inside its file: a few writes may still pass.
    const refused = await eventually(
      () =>
        rest.call('POST', '/v2/images', JSON.stringify({ name: 'x'.repeat(255) }), {
          headers: { 'content-type': 'application/json' },
        }),
      (answer) => answer.status !== 201,
    );
    expect(refused.status, refused.text).toBe(503);
    expect(await rest.digest(image.id)).toMatchObject({ status: 200, sizeBytes: bytes.byteLength });

    await rm(filler);
    await eventually(
      () => rest.patch(image.id, [{ op: 'replace', path: '/name', value: 'after' }]),
      (answer) => answer.status === 200,
    );
    expect(await rest.show(image.id)).toMatchObject({ name: 'after', status: 'active' });
  });
});
