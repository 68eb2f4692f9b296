/** Images as files of a host while nodes are killed, copies are damaged and disks fill; and file systems that share blocks. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MaterializeWay } from '../../src/gen/oriel/data/v1/data_service.js';
import { eventually } from '../support/eventually.js';
import { at, type HostNode, materialize, startHostNode } from '../support/host-files.js';
import { startObjectServer } from '../support/object-server.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';

const MIB = 1024 * 1024;
const RAW = { disk_format: 'raw', container_format: 'bare' };
const UNSHARE = process.getuid?.() === 0 ? '-m' : '-rm';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let host: HostNode | undefined;

beforeEach(async () => {
  folder = await tempFolder('host-faults');
});

afterEach(async () => {
  await host?.stop();
  host = undefined;
  await folder.remove();
});

/** Stores the bytes and returns the image. */
async function upload({ rest }: HostNode, bytes: Uint8Array): Promise<string> {
  const { id } = await rest.create({ name: 'one', ...RAW });
  expect((await rest.upload(id, bytes)).status).toBe(204);
  return id;
}

/** Overwrites some bytes of the object of that size beneath the folder. */
async function damage(store: string, sizeBytes: number): Promise<void> {
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || (await stat(file)).size !== sizeBytes) continue;
    const handle = await open(file, 'r+');
    await handle.write(Buffer.from('damaged'), 0, 7, 5 * MIB);
    await handle.close();
    return;
  }
  throw new Error(`no object of ${sizeBytes} bytes in ${store}`);
}

it('a node that is killed in the middle goes on behind what it had written', async () => {
  const server = await startObjectServer();
  const keys = path.join(folder.path, 'keys');
  await writeFile(keys, 'aws_access_key_id = a\naws_secret_access_key = b\n', { mode: 0o600 });
  const stores =
    `[stores.far]\ntype = "s3"\nendpoint = "${server.url}"\nbucket = "bucket"\n` +
    `credentials_file = "${keys}"\ndefault = true\n`;
  try {
    const first = await startHostNode(folder.path, { stores });
    host = first;
    const bytes = Buffer.concat([randomBytes(4 * MIB), Buffer.alloc(6 * MIB), randomBytes(14 * MIB + 5)]);
    const imageId = await upload(first, bytes);
    const isData = (url: string): boolean => (server.objects.get(url)?.length ?? 0) > 20 * MIB;
    // Behind the hole, the data stops coming after 8 MiB.
    server.trouble = ({ headers }) =>
      headers.range?.startsWith(`bytes=${10 * MIB}-`) === true
        ? { kind: 'stall-answer', afterBytes: 8 * MIB }
        : undefined;
    const file = path.join(folder.path, 'files', 'image');
    const part = path.join(folder.path, 'files', '.image.oriel-part');
    const cut = materialize(first.host, { imageId, target: at(file) }).catch(() => 'cut');
    await eventually(
      () =>
        stat(part).then(
          ({ size }) => size,
          () => 0,
        ),
      (size) => size >= 12 * MIB,
    );
    await first.node.kill('SIGKILL');
    expect(await cut).toBe('cut');
    first.host.close();

    // What the page cache would lose to a power cut: the end of the file is older than its middle.
    await truncate(part, 11 * MIB + 1000);
    server.trouble = () => undefined;
    const before = server.requests.length;
    host = await startHostNode(folder.path, { stores });
    const answer = await materialize(host.host, { imageId, target: at(file) });
    expect(answer).toMatchObject({ resumed: BigInt(11 * MIB), way: MaterializeWay.COPY });
    const ranges = server.requests.slice(before).filter(({ method, url }) => method === 'GET' && isData(url));
    expect(ranges.map(({ headers }) => headers.range)).toEqual([`bytes=${11 * MIB}-${bytes.length - 1}`]);
    expect((await readFile(file)).equals(bytes)).toBe(true);
    expect(await readdir(path.dirname(file))).toEqual(['image']);
  } finally {
    await server.close();
  }
}, 120_000);

it('a partial file of other bytes is written anew', async () => {
  host = await startHostNode(folder.path);
  const bytes = randomBytes(3 * MIB);
  const imageId = await upload(host, bytes);
  const file = path.join(folder.path, 'files', 'image');
  await writeFile(path.join(folder.path, 'files', '.image.oriel-part'), randomBytes(5 * MIB));
  expect(await materialize(host.host, { imageId, target: at(file) })).toMatchObject({ resumed: 0n });
  expect((await readFile(file)).equals(bytes)).toBe(true);
});

it('a copy that is damaged is left for another; without one nothing gets the name', async () => {
  const store = (name: string): string => path.join(folder.path, name);
  const stores = ['one', 'two']
    .map((name) => `[stores.${name}]\ntype = "file"\npath = "${store(name)}"\ndefault = ${String(name === 'one')}\n`)
    .join('');
  host = await startHostNode(folder.path, { stores });
  const bytes = randomBytes(9 * MIB);
  const imageId = await upload(host, bytes);
  await host.host.data.copyImage({ imageId, store: 'two' });
  await damage(store('one'), bytes.length);
  const file = path.join(folder.path, 'files', 'image');
  for (const hardLink of [false, true]) {
    await materialize(host.host, { imageId, target: at(file), hardLink, overwrite: true });
    expect((await readFile(file)).equals(bytes)).toBe(true);
  }
  // A store whose disk is not there is not the only place either, and the way by which the file comes does not matter.
  await rename(store('one'), `${store('one')}-away`);
  for (const hardLink of [false, true]) {
    await materialize(host.host, { imageId, target: at(file), hardLink, overwrite: true });
    expect((await readFile(file)).equals(bytes)).toBe(true);
  }
  await rename(`${store('one')}-away`, store('one'));
  await damage(store('two'), bytes.length);
  const last = path.join(folder.path, 'files', 'last');
  for (const hardLink of [false, true])
    await expect(materialize(host.host, { imageId, target: at(last), hardLink })).rejects.toMatchObject({
      reason: 'DATA_CORRUPT',
    });
  expect((await readdir(path.dirname(last))).sort()).toEqual(['.last.oriel-part', 'image']);
});

/** Runs the commands in a mount namespace of its own and becomes the program; `$0` is the folder. */
function mounted(commands: string, at: string): readonly string[] {
  return ['unshare', UNSHARE, 'sh', '-c', `${commands} && exec "$@"`, at];
}

const canMount = hasTool('unshare', [UNSHARE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);

it.skipIf(!canMount)('a full disk: the error says so, and nothing is left', async () => {
  const files = path.join(folder.path, 'files');
  await mkdir(files);
  host = await startHostNode(folder.path, { wrapper: mounted('mount -t tmpfs -o size=8m tmpfs "$0"', files) });
  const inside = path.join('/proc', String(host.node.pid), 'root', files);
  const imageId = await upload(host, randomBytes(12 * MIB));
  await expect(materialize(host.host, { imageId, target: at(path.join(files, 'image')) })).rejects.toMatchObject({
    reason: 'LIMIT_EXCEEDED',
    message: expect.stringContaining('no room left') as string,
  });
  expect(await readdir(inside)).toEqual([]);
  const small = await upload(host, randomBytes(2 * MIB));
  await materialize(host.host, { imageId: small, target: at(path.join(files, 'small')) });
  expect(await readdir(inside)).toEqual(['small']);
});

/** A file system of 512 MiB in a file whose files can share blocks. */
const MAKE_XFS = 'truncate -s 512M "$0.img" && mkfs.xfs -q -m reflink=1 "$0.img" && mount -o loop "$0.img" "$0"';

const TRY_XFS = `d=$(mktemp -d) && set -- true && sh -c '${MAKE_XFS}' "$d"; s=$?; rm -f "$d.img"; exit $s`;
const canMountXfs = canMount && hasTool('unshare', [UNSHARE, 'sh', '-c', TRY_XFS]);

describe.skipIf(!canMountXfs)('a file system that shares blocks', () => {
  it('makes the file of the stored object itself, verified before it gets its name', async () => {
    const disk = path.join(folder.path, 'disk');
    await mkdir(disk);
    host = await startHostNode(folder.path, {
      data: path.join(disk, 'data'),
      roots: [path.join(disk, 'files')],
      wrapper: mounted(`${MAKE_XFS} && mkdir "$0/files"`, disk),
    });
    const inside = path.join('/proc', String(host.node.pid), 'root', disk);
    const bytes = Buffer.concat([randomBytes(20 * MIB), Buffer.alloc(20 * MIB), randomBytes(777)]);
    const imageId = await upload(host, bytes);
    const target = at(path.join(disk, 'files', 'image'));
    for (const hardLink of [false, true]) {
      const answer = await materialize(host.host, { imageId, target, hardLink, overwrite: true });
      expect(answer.way).toBe(MaterializeWay.REFLINK);
      expect((await readFile(path.join(inside, 'files', 'image'))).equals(bytes)).toBe(true);
    }
    const facts = await stat(path.join(inside, 'files', 'image'));
    expect([facts.mode & 0o777, facts.nlink]).toEqual([0o644, 1]);

    await damage(path.join(inside, 'data', 'images'), bytes.length);
    const other = at(path.join(disk, 'files', 'other'));
    await expect(materialize(host.host, { imageId, target: other })).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
    expect(await readdir(path.join(inside, 'files'))).not.toContain('other');
  });
});
