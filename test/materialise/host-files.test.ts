/** Images as files of a host: what is written, by which way, and what is refused. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/rpc/node-client.js';
import { MaterializeWay } from '../../src/gen/oriel/data/v1/data_service.js';
import { at, type HostNode, materialize, startHostNode } from '../support/host-files.js';
import { runOriel } from '../support/oriel-command.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const RAW = { disk_format: 'raw', container_format: 'bare' };
// Data, a long hole, data, a short hole and an end that is no unit.
const BYTES = Buffer.concat([randomBytes(3 * MIB), Buffer.alloc(9 * MIB), randomBytes(MIB), Buffer.alloc(MIB + 77)]);

let folder: Awaited<ReturnType<typeof tempFolder>>;
let host: HostNode;
let imageId: string;
let files: string;
let made = 0;

beforeAll(async () => {
  folder = await tempFolder('host-files');
  files = path.join(folder.path, 'files');
  host = await startHostNode(folder.path);
  imageId = await upload(BYTES, RAW);
});

afterAll(async () => {
  await host.stop();
  await folder.remove();
});

async function upload(bytes: Uint8Array, fields: Readonly<Record<string, string>>): Promise<string> {
  const { id } = await host.rest.create({ name: `image ${made}`, ...fields });
  expect((await host.rest.upload(id, bytes)).status).toBe(204);
  return id;
}

function newPath(): string {
  made += 1;
  return path.join(files, `file-${made}`);
}

/** Names in the folder that an earlier call may have left. */
async function leftovers(): Promise<readonly string[]> {
  return (await readdir(files)).filter((name) => name.startsWith('.'));
}

describe('a file', () => {
  it('has the bytes of the image, its holes, and a mode that others may read', async () => {
    const file = newPath();
    const answer = await materialize(host.host, { imageId, target: at(file) });
    expect(answer).toMatchObject({ imageId, path: file, size: BigInt(BYTES.length), resumed: 0n });
    expect((await readFile(file)).equals(BYTES)).toBe(true);
    const facts = await stat(file);
    expect(facts.mode & 0o777).toBe(0o644);
    expect(facts.nlink).toBe(1);
    expect(facts.blocks * 512).toBeLessThan(5 * MIB);
    expect(await leftovers()).toEqual([]);
  });

  it('of an image without a byte is empty', async () => {
    const file = newPath();
    const empty = await upload(new Uint8Array(0), RAW);
    await materialize(host.host, { imageId: empty, target: at(file) });
    expect((await stat(file)).size).toBe(0);
  });

  it('that is there is replaced only when that is asked for, in one step', async () => {
    const file = newPath();
    await writeFile(file, 'mine');
    const held = await open(file);
    await expect(materialize(host.host, { imageId, target: at(file) })).rejects.toMatchObject({
      reason: 'ALREADY_EXISTS',
      message: expect.stringContaining('overwriting replaces it') as string,
    });
    await materialize(host.host, { imageId, target: at(file), overwrite: true });
    expect((await readFile(file)).equals(BYTES)).toBe(true);
    // Who had it open has what it was.
    expect(await held.readFile('utf8')).toBe('mine');
    await held.close();
  });

  it('may be the stored object itself when the caller says so: read-only, and still verified', async () => {
    const file = newPath();
    const id = await upload(randomBytes(2 * MIB), RAW);
    const answer = await materialize(host.host, { imageId: id, target: at(file), hardLink: true });
    expect([MaterializeWay.HARD_LINK, MaterializeWay.REFLINK]).toContain(answer.way);
    if (answer.way === MaterializeWay.HARD_LINK) {
      const facts = await stat(file);
      expect([facts.nlink, facts.mode & 0o777]).toEqual([2, 0o444]);
      // Again, onto itself.
      await materialize(host.host, { imageId: id, target: at(file), hardLink: true, overwrite: true });
      expect(await leftovers()).toEqual([]);
    }
    expect((await host.rest.digest(id)).status).toBe(200);
  });

  it('is written once for all who ask for it at the same time', async () => {
    const file = newPath();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => materialize(host.host, { imageId, target: at(file) })),
    );
    expect(new Set(answers.map(({ path: there }) => there))).toEqual(new Set([file]));
    expect((await readFile(file)).equals(BYTES)).toBe(true);
  });

  it('is made by the command line', async () => {
    const file = newPath();
    const node = ['--node', `unix:${host.node.socketPath}`];
    const outcome = await runOriel(['image', 'fetch', imageId, file, ...node, '--json']);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(outcome.stdout)).toMatchObject({ id: imageId, path: file, size: BYTES.length, resumed: 0 });
    const again = await runOriel(['image', 'fetch', imageId, file, ...node]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('ALREADY_EXISTS')]);
    expect((await runOriel(['image', 'fetch', imageId, ...node])).code).toBe(2);
  });
});

describe('refused', () => {
  async function refusalOf(target: string, overwrite = false): Promise<string> {
    try {
      await materialize(host.host, { imageId, target: at(target), overwrite });
    } catch (error) {
      return error instanceof Error && 'reason' in error ? String(error.reason) : String(error);
    }
    return 'done';
  }

  it('paths outside the roots, relative ones and those with dots', async () => {
    const outside = path.join(folder.path, 'outside');
    for (const target of [outside, '/etc/oriel-test', `${files}-other/file`, files])
      expect(await refusalOf(target, true)).toBe('FORBIDDEN');
    for (const target of [
      '',
      'file',
      `${files}/../outside`,
      `${files}/./file`,
      `${files}//file`,
      `${files}/a/`,
      `${files}/\0`,
    ])
      expect(await refusalOf(target, true)).toBe('INVALID_ARGUMENT');
    for (const target of [`${files}/${'x'.repeat(256)}`, `${files}/.file.oriel-part`])
      expect(await refusalOf(target, true)).toBe('INVALID_ARGUMENT');
    expect(await refusalOf(`${files}/not-there/file`)).toBe('STATE_CONFLICT');
    await expect(lstat(outside)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('symbolic links on the way and at the end, folders and devices', async () => {
    const away = path.join(folder.path, 'away');
    await mkdir(away, { recursive: true });
    await writeFile(path.join(away, 'secret'), 'secret');
    await symlink(away, path.join(files, 'link'));
    await symlink(path.join(away, 'secret'), path.join(files, 'link-to-file'));
    await mkdir(path.join(files, 'folder'));
    await run('mkfifo', [path.join(files, 'pipe')]);
    for (const name of ['link/file', 'link', 'link-to-file', 'folder', 'pipe'])
      expect([name, await refusalOf(path.join(files, name), true)]).toEqual([name, 'FORBIDDEN']);
    expect(await readdir(away)).toEqual(['secret']);
    expect(await readFile(path.join(away, 'secret'), 'utf8')).toBe('secret');
    expect(await leftovers()).toEqual([]);
  });

  it('a partial file that somebody else put there is not written to', async () => {
    const away = path.join(folder.path, 'precious');
    await writeFile(away, 'precious');
    const file = newPath();
    const part = path.join(files, `.${path.basename(file)}.oriel-part`);
    await link(away, part);
    await materialize(host.host, { imageId, target: at(file) });
    const linked = newPath();
    await symlink(away, path.join(files, `.${path.basename(linked)}.oriel-part`));
    await materialize(host.host, { imageId, target: at(linked) });
    expect(await readFile(away, 'utf8')).toBe('precious');
    expect((await readFile(linked)).equals(BYTES)).toBe(true);
    expect((await lstat(linked)).isFile()).toBe(true);
  });

  it('a folder that is swapped for a link meanwhile: nothing is written behind the link', async () => {
    const away = path.join(folder.path, 'swapped-away');
    await mkdir(away);
    const place = path.join(files, 'swap');
    await mkdir(place);
    const enough = new AbortController();
    const swapper = (async () => {
      while (!enough.signal.aborted) {
        await rename(place, `${place}.real`).catch(() => undefined);
        await symlink(away, place).catch(() => undefined);
        await new Promise((resolve) => setImmediate(resolve));
        await run('rm', ['-f', place]).catch(() => undefined);
        await rename(`${place}.real`, place).catch(() => undefined);
      }
    })();
    const outcomes = new Set<string>();
    for (let turn = 0; turn < 40; turn += 1) outcomes.add(await refusalOf(path.join(place, `file-${turn}`)));
    enough.abort();
    await swapper;
    expect(await readdir(away)).toEqual([]);
    for (const outcome of outcomes) expect(['done', 'FORBIDDEN', 'STATE_CONFLICT', 'UNAVAILABLE']).toContain(outcome);
  });

  it('who is neither host nor administrator, who sees no such image, and all over HTTP', async () => {
    const file = newPath();
    for (const [token, reason] of [
      ['u:default:member', 'FORBIDDEN'],
      ['u:default:service,reader', 'FORBIDDEN'],
      ['u:other:host', 'NOT_FOUND'],
    ] as const) {
      const client = connect({ node: host.node.grpcAddress, token }, new AbortController().signal);
      await expect(materialize(client, { imageId, target: at(file) })).rejects.toMatchObject({ reason });
      client.close();
    }
    const over = ['/oriel.data.v1.DataService/MaterializeImage', `/v2/images/${imageId}/materialize`];
    for (const url of over) expect((await host.rest.call('POST', url, '{}')).status).toBeGreaterThanOrEqual(300);
    await expect(lstat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('a deactivated image, one without data, and one that is not there', async () => {
    const { id } = await host.rest.create({ name: 'queued', ...RAW });
    const queued = materialize(host.host, { imageId: id, target: at(newPath()) });
    await expect(queued).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
    const blocked = await upload(randomBytes(1000), RAW);
    expect((await host.rest.call('POST', `/v2/images/${blocked}/actions/deactivate`)).status).toBe(204);
    const token = 'u:default:host,member';
    const client = connect({ node: host.node.grpcAddress, token }, new AbortController().signal);
    await expect(materialize(client, { imageId: blocked, target: at(newPath()) })).rejects.toMatchObject({
      reason: 'FORBIDDEN',
      message: expect.stringContaining('deactivated') as string,
    });
    client.close();
  });

  it('everything, when the operator named no folder', async () => {
    const other = await tempFolder('no-roots');
    const bare = await startHostNode(other.path, { roots: [] });
    try {
      const { id } = await bare.rest.create({ name: 'one', ...RAW });
      await bare.rest.upload(id, randomBytes(1000));
      await expect(materialize(bare.host, { imageId: id, target: at('/tmp/x') })).rejects.toMatchObject({
        reason: 'FORBIDDEN',
        message: expect.stringContaining('[materialize] roots') as string,
      });
    } finally {
      await bare.stop();
      await other.remove();
    }
  });
});

describe.skipIf(!hasTool('qemu-img'))('as raw', () => {
  async function qcow2(options: readonly string[]): Promise<{ readonly bytes: Buffer; readonly raw: Buffer }> {
    made += 1;
    const source = path.join(folder.path, `source-${made}.raw`);
    const target = path.join(folder.path, `disk-${made}.qcow2`);
    await writeFile(
      source,
      Buffer.concat([BYTES.subarray(0, 2 * MIB), Buffer.alloc(20 * MIB), BYTES.subarray(0, MIB)]),
    );
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...options, source, target]);
    await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', target, source]);
    return { bytes: await readFile(target), raw: await readFile(source) };
  }

  it.each([[[]], [['-c']]])("a file in Nova's cache is what qemu-img makes of it (%j)", async (options) => {
    const { bytes, raw } = await qcow2(options);
    const id = await upload(bytes, { disk_format: 'qcow2', container_format: 'bare' });
    const instances = path.join(files, `instances-${made}`);
    await mkdir(instances);
    const outcome = await runOriel([
      ...['image', 'fetch', id, '--nova-cache', instances],
      ...['--node', `unix:${host.node.socketPath}`, '--json'],
    ]);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    const base = path.join(instances, '_base', createHash('sha1').update(id).digest('hex'));
    expect(JSON.parse(outcome.stdout)).toMatchObject({ id, path: base, size: raw.length, way: 'convert' });
    expect((await readFile(base)).equals(raw)).toBe(true);
    const [facts, owner] = [await stat(base), await stat(instances)];
    expect([facts.mode & 0o777, facts.uid, facts.nlink]).toEqual([0o644, owner.uid, 1]);
    expect(facts.blocks * 512).toBeLessThan(4 * MIB);
    expect((await stat(path.dirname(base))).mode & 0o777).toBe(0o755);
    expect(await readdir(path.dirname(base))).toEqual([path.basename(base)]);
    const { stdout } = await run('qemu-img', ['info', '--output=json', base]);
    expect(JSON.parse(stdout)).toMatchObject({ format: 'raw', 'virtual-size': raw.length });
  });

  it('a raw image comes as it is, never as a hard link into the cache', async () => {
    const instances = path.join(files, 'raw-instances');
    await mkdir(instances);
    const nova = { $case: 'novaInstances' as const, value: path.join(instances, '_base') };
    const answer = await materialize(host.host, { imageId, target: nova, hardLink: true });
    expect(answer.way).not.toBe(MaterializeWay.HARD_LINK);
    expect((await readFile(answer.path)).equals(BYTES)).toBe(true);
  });

  it('another format, and content that is not what the image says, are refused', async () => {
    const vmdk = path.join(folder.path, 'disk.vmdk');
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', vmdk, '4M']);
    const id = await upload(await readFile(vmdk), { disk_format: 'vmdk', container_format: 'bare' });
    await expect(materialize(host.host, { imageId: id, target: at(newPath()), raw: true })).rejects.toMatchObject({
      reason: 'NOT_IMPLEMENTED',
      message: expect.stringContaining('vmdk') as string,
    });
    expect(await leftovers()).toEqual([]);
  });
});
