/** The cache of nodes: two nodes of a cluster, the rights to what is cached, what a kill or a full disk leaves, and its calls. */
import { createHash, randomBytes } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { type FarStore, startFarStore } from '../support/far-store.js';
import type { TestNode } from '../support/node.js';
import { runOriel } from '../support/oriel-command.js';
import { RestClient } from '../support/rest-client.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 1024 * 1024;
const BYTES = randomBytes(12 * MIB + 77);
const MD5 = createHash('md5').update(BYTES).digest('hex');

async function newImage(rest: RestClient, bytes: Buffer = BYTES, fields: object = {}): Promise<string> {
  const { id } = await rest.create({ disk_format: 'raw', container_format: 'bare', ...fields });
  const { status, text } = await rest.upload(id, new Uint8Array(bytes));
  if (status !== 204) throw new Error(`upload answered ${status}: ${text}`);
  return id;
}

interface CachedBody {
  readonly image_id: string;
  readonly size: number;
  readonly hits: number;
  readonly last_accessed: number;
  readonly last_modified: number;
}

interface CacheBody {
  readonly cached_images: readonly CachedBody[];
  readonly queued_images: readonly string[];
}

async function cacheOf(rest: RestClient): Promise<CacheBody> {
  return (await rest.call('GET', '/v2/cache')).json() as CacheBody;
}

/** Waits until the image is cached whole. */
async function cachedWhole(rest: RestClient, id: string, sizeBytes = BYTES.length): Promise<void> {
  await eventually(
    () => cacheOf(rest),
    (body) =>
      !body.queued_images.includes(id) &&
      body.cached_images.some(({ image_id, size }) => image_id === id && size === sizeBytes),
  );
}

async function metric(node: TestNode, name: string): Promise<number> {
  const { text } = await new RestClient(node.httpUrl).call('GET', '/metrics');
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
}

describe('in a cluster', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster(2);
  }, 180_000);
  afterAll(() => cluster.stop());

  const client = (index: number): RestClient => {
    const rest = cluster.rest[index];
    if (rest === undefined) throw new Error(`no edge ${index}`);
    return rest;
  };

  it('an edge fetches from the node that has the data once, and serves it when that node is away', async () => {
    const id = await newImage(client(0));
    const md5s = await Promise.all(Array.from({ length: 20 }, async () => (await client(1).digest(id)).md5));
    expect(new Set(md5s)).toEqual(new Set([MD5]));
    const [origin, edge] = cluster.edges;
    if (origin === undefined || edge === undefined) throw new Error('no edges');
    expect(await metric(edge, 'oriel_cache_fetched_bytes_total')).toBe(BYTES.length);
    expect(await metric(edge, 'oriel_cache_held_bytes')).toBe(BYTES.length);
    // What lies in a store of the node is never copied into its cache.
    expect((await client(0).digest(id)).md5).toBe(MD5);
    expect((await cacheOf(client(0))).cached_images).toEqual([]);
    await cluster.killEdge(0);
    expect((await client(1).digest(id)).md5).toBe(MD5);
    // Also by a process that never met the other node.
    await cluster.killEdge(1);
    await cluster.startEdge(1);
    expect((await client(1).digest(id)).md5).toBe(MD5);
    await cluster.startEdge(0);
  });

  it('what is cached goes with its image', async () => {
    const id = await newImage(client(0));
    // The copy of the catalog at the other edge comes on by itself.
    await eventually(
      async () => (await client(1).call('PUT', `/v2/cache/${id}`)).status,
      (status) => status === 202,
    );
    await cachedWhole(client(1), id);
    expect((await client(0).call('DELETE', `/v2/images/${id}`)).status).toBe(204);
    await eventually(
      () => cacheOf(client(1)),
      ({ cached_images }) => cached_images.every(({ image_id }) => image_id !== id),
    );
  });

  it('nodes of a cluster know their own caches alone', async () => {
    const id = await newImage(client(0));
    expect((await client(1).call('GET', `/v2/cache/nodes/${id}`)).status).toBe(409);
  });
});

describe('at a node whose store is elsewhere', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let far: FarStore;
  let node: TestNode;
  let rest: RestClient;
  const dataDir = (): string => path.join(folder.path, 'data');

  async function start(cache: Readonly<Record<string, string | boolean>> = {}): Promise<void> {
    node = await far.startNode(dataDir(), cache);
    rest = new RestClient(node.httpUrl);
  }

  beforeEach(async () => {
    folder = await tempFolder('node-cache');
    far = await startFarStore(folder.path);
    await start();
  });

  afterEach(async () => {
    await node.stop();
    await far.close();
    await folder.remove();
  });

  const as = (project: string, roles = 'member'): RestClient =>
    new RestClient(node.httpUrl, { 'x-auth-token': `user:${project}:${roles}` });

  it('serves nothing from the cache to who may not read it (CVE-2013-4428)', async () => {
    const [owner, guest, admin] = [as('own'), as('guest'), as('root', 'admin')];
    const id = await newImage(owner);
    const status = async (who: RestClient): Promise<number> => (await who.call('GET', `/v2/images/${id}/file`)).status;
    await owner.call('POST', `/v2/images/${id}/members`, JSON.stringify({ member: 'guest' }), {
      headers: { 'content-type': 'application/json' },
    });
    expect(await status(guest)).toBe(200);
    expect((await cacheOf(admin)).cached_images.map(({ image_id }) => image_id)).toEqual([id]);
    await owner.call('DELETE', `/v2/images/${id}/members/guest`);
    expect(await status(guest)).toBe(404);
    expect(await status(as('guest', 'reader'))).toBe(404);
    expect(await status(owner)).toBe(200);
    expect(await status(as('own', 'reader'))).toBe(403);
    await owner.call('POST', `/v2/images/${id}/actions/deactivate`);
    expect(await status(owner)).toBe(403);
    await owner.call('POST', `/v2/images/${id}/actions/reactivate`);
    expect(await status(owner)).toBe(200);
    await owner.call('DELETE', `/v2/images/${id}`);
    expect(await status(owner)).toBe(404);
    expect(await status(admin)).toBe(404);
  });

  it('survives kill -9 in the middle of a fill, with what was there', async () => {
    const id = await newImage(rest);
    const before = far.bytes();
    for (let round = 0; round < 4; round += 1) {
      const reading = fetch(`${node.httpUrl}/v2/images/${id}/file`).then(async (response) => {
        let cameBytes = 0;
        for await (const chunk of response.body ?? []) {
          cameBytes += (chunk as Uint8Array).length;
          if (cameBytes > (2 + 3 * round) * MIB) {
            await node.kill('SIGKILL');
            return;
          }
        }
      });
      await reading.catch(() => undefined);
      await node.kill('SIGKILL');
      await start();
    }
    expect((await cacheOf(rest)).cached_images[0]?.size).toBeGreaterThan(MIB);
    expect((await rest.digest(id)).md5).toBe(MD5);
    const afterFill = far.bytes();
    // Each kill loses what was on its way, not what had come.
    expect(afterFill - before).toBeLessThan(3.5 * BYTES.length);
    expect((await rest.digest(id)).md5).toBe(MD5);
    expect(far.bytes() - afterFill).toBeLessThan(MIB);
  });

  it('fetches again what was damaged on the disk, and the reader does not notice', async () => {
    const id = await newImage(rest);
    expect((await rest.digest(id)).md5).toBe(MD5);
    const file = await open(path.join(dataDir(), 'cache', id, 'data'), 'r+');
    for (const at of [5, 5 * MIB + 9, 12 * MIB]) await file.write(randomBytes(16), 0, 16, at);
    await file.close();
    const before = far.bytes();
    expect((await rest.digest(id)).md5).toBe(MD5);
    expect(far.bytes() - before).toBeGreaterThan(2 * MIB);
    expect(node.stderr()).toContain('cached data is not what was stored');
    const after = far.bytes();
    expect((await rest.digest(id)).md5).toBe(MD5);
    expect(far.bytes() - after).toBeLessThan(MIB);
  });

  it('keeps within its size, pinned images before others, and reads go on', async () => {
    await node.stop();
    await start({ size: '15MiB' });
    const pinned = await newImage(rest, BYTES.subarray(0, 4 * MIB));
    expect((await runOriel(['node', 'cache', 'pin', pinned, '--node', node.grpcAddress])).code).toBe(0);
    const others = [await newImage(rest), await newImage(rest)];
    await rest.digest(pinned);
    for (const id of [...others, ...others]) expect((await rest.digest(id)).md5).toBe(MD5);
    const { cached_images } = await cacheOf(rest);
    expect(cached_images.find(({ image_id }) => image_id === pinned)?.size).toBe(4 * MIB);
    expect(cached_images.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(15 * MIB);
    expect(node.stderr()).toContain('the cache has no room');
    await node.stop();
    await start({ size: '2MiB' });
    expect(await metric(node, 'oriel_cache_held_bytes')).toBe(4 * MIB);
    expect((await runOriel(['node', 'cache', 'unpin', pinned, '--node', node.grpcAddress])).code).toBe(0);
    expect((await rest.call('POST', '/v2/cache/prune')).json()).toEqual({
      total_files_pruned: 1,
      total_bytes_pruned: 4 * MIB,
    });
    expect((await rest.digest(others[0] ?? '')).md5).toBe(MD5);
  });

  it('answers the calls of the Images API (§6.15)', async () => {
    const id = await newImage(rest);
    const queued = await rest.create({ disk_format: 'raw', container_format: 'bare' });
    const status = async (method: string, where: string, headers: Record<string, string> = {}): Promise<number> =>
      (await rest.call(method, where, undefined, { headers })).status;
    expect(await cacheOf(rest)).toEqual({ cached_images: [], queued_images: [] });
    expect(await status('PUT', `/v2/cache/${queued.id}`)).toBe(400);
    expect(await status('PUT', '/v2/cache/6c1f4f6e-3d5f-4f0e-9d0c-0a6f5f1d2b11')).toBe(404);
    expect(await status('DELETE', `/v2/cache/${id}`)).toBe(404);
    expect(await status('PUT', `/v2/cache/${id}`)).toBe(202);
    await cachedWhole(rest, id);
    const before = far.bytes();
    await rest.digest(id);
    expect(far.bytes() - before).toBeLessThan(MIB);
    const [cached] = (await cacheOf(rest)).cached_images;
    expect(cached).toMatchObject({ image_id: id, size: BYTES.length, hits: 1 });
    expect(Object.keys(cached ?? {})).toEqual(['image_id', 'hits', 'last_accessed', 'last_modified', 'size']);
    for (const atS of [cached?.last_accessed, cached?.last_modified])
      expect(Math.abs((atS ?? 0) - Date.now() / 1000)).toBeLessThan(600);
    expect((await rest.call('GET', `/v2/cache/nodes/${id}`)).json()).toEqual([node.httpUrl]);
    expect((await rest.call('GET', `/v2/cache/nodes/${queued.id}`)).json()).toEqual([]);
    expect(await status('POST', '/v2/cache/clean')).toBe(200);
    expect((await rest.call('POST', '/v2/cache/prune')).json()).toEqual({
      total_files_pruned: 0,
      total_bytes_pruned: 0,
    });
    expect(await status('DELETE', '/v2/cache', { 'x-image-cache-clear-target': 'other' })).toBe(400);
    expect(await status('DELETE', '/v2/cache', { 'x-image-cache-clear-target': 'queue' })).toBe(204);
    expect((await cacheOf(rest)).cached_images).toHaveLength(1);
    expect(await status('DELETE', `/v2/cache/${id}`)).toBe(204);
    await rest.digest(id);
    expect(await status('DELETE', '/v2/cache', { 'x-image-cache-clear-target': 'cache' })).toBe(204);
    expect(await cacheOf(rest)).toEqual({ cached_images: [], queued_images: [] });
    expect(await readdir(path.join(dataDir(), 'cache'))).toEqual([]);
    const member = as('some');
    for (const [method, where] of [
      ['GET', '/v2/cache'],
      ['DELETE', '/v2/cache'],
      ['PUT', `/v2/cache/${id}`],
      ['DELETE', `/v2/cache/${id}`],
      ['GET', `/v2/cache/nodes/${id}`],
      ['POST', '/v2/cache/clean'],
      ['POST', '/v2/cache/prune'],
    ] as const)
      expect([403, 404]).toContain((await member.call(method, where)).status);
    expect((await member.call('GET', '/v2/cache')).status).toBe(403);
  });

  it('goes on with what is queued after a restart', async () => {
    const id = await newImage(rest);
    // While the store is away, nothing can be fetched.
    far.server.trouble = ({ method }) => (method === 'GET' || method === 'HEAD' ? { status: 503 } : undefined);
    expect((await rest.call('PUT', `/v2/cache/${id}`)).status).toBe(202);
    expect(await cacheOf(rest)).toEqual({ cached_images: [], queued_images: [id] });
    await node.kill('SIGKILL');
    far.server.trouble = () => undefined;
    await start();
    await cachedWhole(rest, id);
  });

  it('is used from the command line', async () => {
    const id = await newImage(rest, BYTES, { name: 'cirros' });
    const cache = (...args: readonly string[]) => runOriel(['node', 'cache', ...args, '--node', node.grpcAddress]);
    expect(await cache('add', 'cirros')).toMatchObject({ code: 0, stdout: `${id} queued\n` });
    await cachedWhole(rest, id);
    expect(JSON.parse((await cache('list', '--json')).stdout)).toMatchObject({
      held_bytes: BYTES.length,
      images: [{ image_id: id, cached_bytes: BYTES.length, size: BYTES.length, queued: false, pinned: false }],
    });
    expect((await cache('list')).stdout).toContain(id);
    expect((await cache('pin', id)).stdout).toBe(`${id} pinned\n`);
    expect((await cache('list')).stdout).toContain('pinned');
    expect((await cache('clean')).stdout).toBe('0 images removed\n');
    expect(JSON.parse((await cache('prune', '--json')).stdout)).toEqual({ pruned_images: 0, pruned_bytes: 0 });
    expect((await cache('remove', id)).code).toBe(0);
    expect((await cache('remove', id)).code).not.toBe(0);
    await rest.digest(id);
    expect((await cache('clear', '--only', 'cache')).stdout).toBe('cleared\n');
    expect(await cacheOf(rest)).toEqual({ cached_images: [], queued_images: [] });
  });

  it('does without a cache when it is off', async () => {
    const id = await newImage(rest);
    await node.stop();
    await start({ enabled: false });
    expect((await rest.digest(id)).md5).toBe(MD5);
    for (const [method, where] of [
      ['GET', '/v2/cache'],
      ['PUT', `/v2/cache/${id}`],
      ['POST', '/v2/cache/prune'],
    ] as const)
      expect((await rest.call(method, where)).status).toBe(404);
    expect(await metric(node, 'oriel_cache_held_bytes')).toBeNaN();
  });
});
