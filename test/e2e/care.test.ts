/** What nodes do for damaged data: it is marked, read elsewhere, made anew, and looked for where nobody reads. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Metadata } from 'nice-grpc-common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ImageLocation } from '../../src/gen/oriel/catalog/v1/image.js';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { startNode, type NodeOptions, type TestNode } from '../support/node.js';
import { RestClient } from '../support/rest-client.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';
import { dataFile, FAST, filesIn, flipByte, SLOW, startTwoStores, storePath } from '../support/two-stores.js';

const MIB = 1024 * 1024;
const BYTES = randomBytes(5 * MIB + 77);
const MD5 = createHash('md5').update(BYTES).digest('hex');
const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const admin = { metadata: Metadata({ 'x-auth-token': 'root:root:admin' }) };
/** A repair that comes again waits for five seconds. */
const REPAIR_LIMIT_MS = 40_000;

interface Running {
  readonly node: TestNode;
  readonly client: NodeClient;
  readonly rest: RestClient;
}

function runningOf(node: TestNode): Running {
  const client = connect({ node: node.grpcAddress, token: undefined }, new AbortController().signal);
  return { node, client, rest: new RestClient(node.httpUrl) };
}

async function newImage({ rest }: Running, bytes = BYTES, fields: object = {}): Promise<string> {
  const { id } = await rest.create({ ...FORMATS, ...fields });
  const { status, text } = await rest.upload(id, new Uint8Array(bytes));
  if (status !== 204) throw new Error(`upload answered ${status}: ${text}`);
  return id;
}

async function locationsOf({ client }: Running, imageId: string): Promise<readonly ImageLocation[]> {
  return (await client.catalog.listImageLocations({ imageId }, admin)).locations;
}

const stateOf = ({ digestState }: ImageLocation): string => digestState.replace('LOCATION_DIGEST_STATE_', '');

async function statesOf(running: Running, imageId: string): Promise<string> {
  return (await locationsOf(running, imageId)).map(stateOf).join(' ');
}

/** Waits until the first location is another one than before, and all are good. */
function repaired(running: Running, imageId: string, before: readonly ImageLocation[]) {
  const isRepaired = (now: readonly ImageLocation[]): boolean =>
    now[0]?.id !== before[0]?.id && now.every((location) => stateOf(location) === 'VERIFIED');
  return eventually(() => locationsOf(running, imageId), isRepaired, REPAIR_LIMIT_MS);
}

const linesWith = (node: TestNode, text: string, id: string): number =>
  node
    .stderr()
    .split('\n')
    .filter((line) => line.includes(text) && line.includes(id)).length;

describe('a node with two stores', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let running: Running;
  const files = (store: string): Promise<string[]> => filesIn(folder.path, store);
  const data = (store: string, id: string): Promise<string> => dataFile(folder.path, store, id);
  const start = async (): Promise<void> => {
    running = runningOf(await startTwoStores(folder.path));
  };
  const twoCopies = async (bytes = BYTES): Promise<string> => {
    const id = await newImage(running, bytes);
    await running.client.data.copyImage({ imageId: id, store: SLOW }, admin);
    return id;
  };

  beforeAll(async () => {
    folder = await tempFolder('care');
    await start();
  });
  afterAll(async () => {
    running.client.close();
    await running.node.stop();
    await folder.remove();
  });

  it('marks and repairs a copy with a wrong byte while its readers notice nothing, by one report', async () => {
    const id = await twoCopies();
    const before = await locationsOf(running, id);
    const old = await data(FAST, id);
    await flipByte(old, 2 * MIB + 5);
    const range = { headers: { range: `bytes=${2 * MIB}-${2 * MIB + 9}` } };
    const reads = Array.from({ length: 60 }, () => running.rest.call('GET', `/v2/images/${id}/file`, undefined, range));
    for (const { status } of await Promise.all(reads)) expect(status).toBe(206);
    const after = await repaired(running, id, before);
    expect(after.map(({ store }) => store)).toEqual([FAST, SLOW]);
    expect(linesWith(running.node, 'location marked', id)).toBe(1);
    const fresh = await eventually(
      () => files(FAST),
      (names) => names.filter((name) => name.includes(id)).length === 2 && !names.includes(old),
    );
    expect(
      (await readFile(fresh.find((name) => name.includes(id) && name.endsWith('.data')) ?? '')).equals(BYTES),
    ).toBe(true);
    await rm(await data(SLOW, id));
    expect((await running.rest.digest(id)).md5).toBe(MD5);
    const { scrub } = await running.client.node.getNodeStatus({});
    expect([Number(scrub?.damaged), Number(scrub?.repaired)]).toEqual([1, 1]);
    expect((await running.rest.call('GET', '/metrics')).text).toContain('oriel_locations_repaired 1');
    expect((await running.rest.call('GET', '/readyz')).status).toBe(200);
  });

  it('marks and repairs a copy that is gone, and one that is cut', async () => {
    const id = await twoCopies();
    const before = await locationsOf(running, id);
    await rm(await data(FAST, id));
    expect((await running.rest.digest(id)).md5).toBe(MD5);
    const after = await repaired(running, id, before);
    await writeFile(await data(FAST, id), BYTES.subarray(0, 100));
    expect((await running.rest.digest(id)).md5).toBe(MD5);
    await repaired(running, id, after);
    expect(linesWith(running.node, '"found":"missing"', id)).toBe(2);
  });

  it('puts the data together from two copies that are damaged in different places', async () => {
    const id = await twoCopies();
    const before = await locationsOf(running, id);
    await flipByte(await data(FAST, id), 5);
    await flipByte(await data(SLOW, id), 4 * MIB);
    expect((await running.rest.digest(id)).md5).toBe(MD5);
    const after = await repaired(running, id, before);
    expect(after[1]?.id).not.toBe(before[1]?.id);
    expect((await readFile(await data(SLOW, id))).equals(BYTES)).toBe(true);
  });

  it('says that data is damaged when no copy is good, gives up, and tries again when one is', async () => {
    const id = await twoCopies();
    const before = await locationsOf(running, id);
    for (const store of [FAST, SLOW]) await flipByte(await data(store, id), MIB + 1);
    const { status } = await running.rest.call('GET', `/v2/images/${id}/file`, undefined, {
      headers: { range: `bytes=${MIB}-${MIB}` },
    });
    expect(status).toBe(500);
    await eventually(
      () => Promise.resolve(linesWith(running.node, 'location not repaired', id)),
      (count) => count > 0,
      REPAIR_LIMIT_MS,
    );
    expect(await statesOf(running, id)).toBe('DAMAGED DAMAGED');
    expect((await files(FAST)).filter((name) => name.includes(id))).toHaveLength(2);
    await flipByte(await data(SLOW, id), MIB + 1);
    await running.client.catalog.repairImage({ imageId: id }, admin);
    await repaired(running, id, before);
    // Bounded: what was asked for is what was tried, not a loop.
    expect(linesWith(running.node, 'location not repaired', id)).toBeLessThan(4);
  });

  it('repairs a map, for an administrator who asks, and for nobody else', async () => {
    const id = await twoCopies();
    const before = await locationsOf(running, id);
    await flipByte((await files(FAST)).find((name) => name.includes(id) && name.endsWith('.map')) ?? '', 100);
    const hers = { metadata: Metadata({ 'x-auth-token': 'eve:default:member' }) };
    await expect(running.client.catalog.repairImage({ imageId: id }, hers)).rejects.toMatchObject({
      reason: 'FORBIDDEN',
    });
    await running.client.catalog.repairImage({ imageId: id }, admin);
    await repaired(running, id, before);
  });

  it('lets nobody but nodes report damage, end repairs, or replace a location', async () => {
    const id = await twoCopies();
    const [location] = await locationsOf(running, id);
    const { nodeId } = await running.client.node.getNodeStatus({});
    const { catalog } = running.client;
    const key = `${id}/${location?.id ?? ''}.data`;
    const found = 'LOCATION_DIGEST_STATE_DAMAGED' as never;
    const denied = { reason: 'FORBIDDEN' };
    const report = { nodeId, imageId: id, locationId: location?.id ?? '', key, found };
    await expect(catalog.reportLocation(report, admin)).rejects.toMatchObject(denied);
    const end = { nodeId, imageId: id, imageVersion: 3n };
    await expect(catalog.endImageRepair(end, admin)).rejects.toMatchObject(denied);
    const begin = { imageId: id, nodeId, store: FAST, copy: true, replaces: location?.id ?? '' };
    await expect(catalog.beginUpload(begin, admin)).rejects.toMatchObject(denied);
    expect(await statesOf(running, id)).toBe('VERIFIED VERIFIED');
  });

  it('does a repair anew that ended with its node, and leaves nothing of the first', async () => {
    const big = Buffer.concat(Array.from({ length: 24 }, () => BYTES));
    const id = await twoCopies(big);
    const before = await locationsOf(running, id);
    await flipByte(await data(FAST, id), 5);
    const first = { headers: { range: 'bytes=0-9' } };
    expect((await running.rest.call('GET', `/v2/images/${id}/file`, undefined, first)).status).toBe(206);
    await eventually(
      () => readdir(path.join(storePath(folder.path, FAST), 'tmp')),
      (names) => names.length > 0,
    );
    await running.node.kill('SIGKILL');
    running.client.close();
    await start();
    await repaired(running, id, before);
    await eventually(
      () => files(FAST),
      (names) =>
        names.filter((name) => name.includes(id)).length === 2 && !names.some((name) => name.includes(`/${FAST}/tmp/`)),
    );
    expect((await running.rest.digest(id)).md5).toBe(createHash('md5').update(big).digest('hex'));
  });
});

describe('the scrubber', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let running: Running;
  beforeAll(async () => {
    folder = await tempFolder('scrub');
    const env = { ORIEL_SCRUB_INTERVAL: '1s', ORIEL_SCRUB_ORPHAN_GRACE: '2s', ORIEL_SCRUB_RATE: '64MiB' };
    running = runningOf(await startTwoStores(folder.path, { env }));
  });
  afterAll(async () => {
    running.client.close();
    await running.node.stop();
    await folder.remove();
  });

  it('finds a bit that flipped where nobody reads', async () => {
    const id = await newImage(running);
    await running.client.data.copyImage({ imageId: id, store: SLOW }, admin);
    const before = await locationsOf(running, id);
    await flipByte(await dataFile(folder.path, FAST, id), 3 * MIB + 7);
    await repaired(running, id, before);
    // The old object goes after the new one took its place.
    await eventually(
      async () => (await readFile(await dataFile(folder.path, FAST, id))).equals(BYTES),
      (isWhole) => isWhole,
    );
    const { scrub } = await running.client.node.getNodeStatus({});
    expect(Number(scrub?.bytes)).toBeGreaterThan(BYTES.length);
  });

  it('removes objects that nothing names, and leaves those of images and of others alone', async () => {
    const id = await newImage(running);
    const real = await dataFile(folder.path, FAST, id);
    const foreign = [
      path.join(path.dirname(real), 'notes.txt'),
      // The name of an object, in a folder where that would not lie.
      path.join(storePath(folder.path, FAST), 'objects', `${randomUUID()}~${randomUUID()}.data`),
      // A key, but not of the form of ours.
      objectFile(FAST, `${randomUUID()}/disk.data`),
      objectFile(FAST, `backup/${randomUUID()}.data`),
    ];
    const orphans = [FAST, SLOW].flatMap((store) =>
      ['data', 'map'].map((kind) => objectFile(store, `${randomUUID()}/${randomUUID()}.${kind}`)),
    );
    for (const file of [...foreign, ...orphans]) {
      await mkdir(path.dirname(file), { recursive: true });
      await copyFile(real, file);
    }
    const there = async (file: string): Promise<boolean> => (await stat(file).catch(() => undefined)) !== undefined;
    for (const file of orphans)
      await eventually(
        () => there(file),
        (is) => !is,
        REPAIR_LIMIT_MS,
      );
    for (const file of [...foreign, real]) expect(await there(file)).toBe(true);
    expect((await running.rest.digest(id)).md5).toBe(MD5);
  });

  function objectFile(store: string, key: string): string {
    const hash = createHash('sha256').update(key).digest('hex');
    const folders = [storePath(folder.path, store), 'objects', hash.slice(0, 2), hash.slice(2, 4)];
    return path.join(...folders, key.replaceAll('/', '~'));
  }
});

describe('delayed deletion', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let running: Running;
  const start = async (scrubTime: string): Promise<void> => {
    const env = { ORIEL_IMAGES_DELAYED_DELETE: 'true', ORIEL_IMAGES_SCRUB_TIME: scrubTime };
    running = runningOf(await startTwoStores(folder.path, { env }));
  };
  const kept = async (id: string): Promise<number> =>
    (await filesIn(folder.path, FAST)).filter((name) => name.includes(id)).length;
  const statusOf = async (method: string, place: string): Promise<number> =>
    (await running.rest.call(method, `/v2/images${place}`)).status;

  beforeAll(async () => {
    folder = await tempFolder('delayed');
    await start('1h');
  });
  afterAll(async () => {
    running.client.close();
    await running.node.stop();
    await folder.remove();
  });

  it('hides the image as a deleted one, keeps its data, and lets an administrator have it back', async () => {
    const id = await newImage(running, BYTES, { visibility: 'shared', tags: ['kept'] });
    await running.client.catalog.createMember({ imageId: id, memberId: 'friend' }, admin);
    expect(await statusOf('DELETE', `/${id}`)).toBe(204);
    for (const place of [`/${id}`, `/${id}/file`, `/${id}/members`]) expect(await statusOf('GET', place)).toBe(404);
    expect(await statusOf('DELETE', `/${id}`)).toBe(404);
    expect((await running.rest.list()).map((image) => image.id)).not.toContain(id);
    expect((await running.rest.list('?status=pending_delete')).map((image) => image.id)).not.toContain(id);
    await expect(running.rest.create({ id, ...FORMATS })).rejects.toThrow(/409/);
    expect(await kept(id)).toBe(2);

    const owner = { metadata: Metadata({ 'x-auth-token': 'admin:default:member' }) };
    await expect(running.client.catalog.restoreImage({ id }, owner)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    const { image } = await running.client.catalog.restoreImage({ id, requestId: 'once' }, admin);
    expect(image).toMatchObject({ status: 'IMAGE_STATUS_ACTIVE', tags: ['kept'] });
    expect((await running.rest.digest(id)).md5).toBe(MD5);
    expect((await running.client.catalog.listMembers({ imageId: id }, admin)).members).toHaveLength(1);
    await running.client.catalog.restoreImage({ id, requestId: 'once' }, admin);
    await expect(running.client.catalog.restoreImage({ id }, admin)).rejects.toMatchObject({
      reason: 'STATE_CONFLICT',
    });
  });

  it('CVE-2012-4573: a deletion that is denied leaves the image and its bytes', async () => {
    const open = await newImage(running, BYTES, { visibility: 'public' });
    const guarded = await newImage(running, BYTES, { protected: true });
    const eve = { headers: { 'x-auth-token': 'eve:eve:member' } };
    expect((await running.rest.call('DELETE', `/v2/images/${open}`, undefined, eve)).status).toBe(403);
    expect(await statusOf('DELETE', `/${guarded}`)).toBe(403);
    for (const id of [open, guarded]) {
      expect(await running.rest.show(id)).toMatchObject({ status: 'active' });
      expect((await running.rest.digest(id)).md5).toBe(MD5);
    }
  });

  it('removes the data when the time is up, also of what was deleted before a restart', async () => {
    const id = await newImage(running);
    const other = await newImage(running);
    expect(await statusOf('DELETE', `/${id}`)).toBe(204);
    running.client.close();
    await running.node.stop();
    await start('1s');
    expect(await statusOf('DELETE', `/${other}`)).toBe(204);
    for (const gone of [id, other])
      await eventually(
        () => kept(gone),
        (count) => count === 0,
      );
    await expect(running.client.catalog.restoreImage({ id }, admin)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  });
});

const UNSHARE = process.getuid?.() === 0 ? '-m' : '-rm';
const canMount = hasTool('unshare', [UNSHARE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);

describe.skipIf(!canMount)('a full disk', { timeout: 120_000 }, () => {
  it('holds up a repair, which leaves nothing, and the image is read from elsewhere', async () => {
    const folder = await tempFolder('full-repair');
    const fast = storePath(folder.path, FAST);
    await mkdir(fast);
    const script = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"';
    const running = runningOf(
      await startTwoStores(folder.path, { wrapper: ['unshare', UNSHARE, 'sh', '-c', script, fast] }),
    );
    const inside = path.join('/proc', String(running.node.pid), 'root', folder.path);
    try {
      const id = await newImage(running);
      await running.client.data.copyImage({ imageId: id, store: SLOW }, admin);
      await flipByte(await dataFile(inside, FAST, id), 5);
      expect((await running.rest.digest(id)).md5).toBe(MD5);
      await eventually(
        () => Promise.resolve(linesWith(running.node, 'background work failed', id)),
        (count) => count > 0,
      );
      expect(running.node.stderr()).toContain('LIMIT_EXCEEDED');
      expect(await statesOf(running, id)).toBe('DAMAGED VERIFIED');
      await eventually(
        () => filesIn(inside, FAST),
        (names) => names.length === 2,
      );
      expect((await running.rest.digest(id)).md5).toBe(MD5);
    } finally {
      running.client.close();
      await running.node.stop();
      await folder.remove();
    }
  });
});

describe('a cluster', { timeout: 240_000 }, () => {
  let cluster: TestCluster | undefined;
  afterEach(async () => {
    await cluster?.stop();
    cluster = undefined;
  });

  it('repairs what an edge reads of its own, and what another node met there', async () => {
    cluster = await startCluster(2);
    const [first, second, primary] = [...cluster.edges, cluster.primary()].map(runningOf);
    if (first === undefined || second === undefined || primary === undefined) throw new Error('no nodes');
    const id = await newImage(first);
    await second.client.data.copyImage({ imageId: id, store: '' }, admin);
    const fileOf = async (): Promise<string> => {
      const root = path.join(first.node.dataDir, 'images');
      const [name] = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.data'));
      return path.join(root, name ?? '');
    };
    let before = await locationsOf(primary, id);
    await eventually(
      () => locationsOf(first, id),
      (known) => known.length === 2,
    );
    for (const reader of [first, primary]) {
      await flipByte(await fileOf(), 7);
      expect((await reader.rest.digest(id)).md5).toBe(MD5);
      const after = await repaired(primary, id, before);
      expect(after.map(({ node }) => node)).toEqual(before.map(({ node }) => node));
      before = after;
      const old = before;
      await eventually(
        () => locationsOf(first, id),
        (now) => now[0]?.id === old[0]?.id,
      );
      await eventually(
        async () => (await readFile(await fileOf())).equals(BYTES),
        (same) => same,
      );
    }
    expect(linesWith(first.node, 'location marked', id)).toBe(2);
    for (const { client } of [first, second, primary]) client.close();
  });
});

describe.skipIf(!hasSwift())('a file store beside Swift', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let swift: TestSwift;
  let running: Running;
  beforeAll(async () => {
    folder = await tempFolder('care-swift');
    swift = await startSwift();
    await writeFile(path.join(folder.path, 'key'), swift.key, { mode: 0o600 });
    const store =
      `[stores.${FAST}]\npath = "${storePath(folder.path, FAST)}"\ndefault = true\n` +
      `[stores.safe]\ntype = "swift"\nauth_url = "${swift.authUrl}"\nuser = "${swift.user}"\n` +
      `key_file = "${folder.path}/key"\ncontainer = "images"\nauth_version = "1"\n`;
    await writeFile(path.join(folder.path, 'oriel.toml'), `[images]\nshow_multiple_locations = true\n${store}`);
    const options: NodeOptions = { dataDir: path.join(folder.path, 'data') };
    running = runningOf(await startNode({ ...options, args: ['--config', path.join(folder.path, 'oriel.toml')] }));
  }, SWIFT_START_MS);
  afterAll(async () => {
    running.client.close();
    await running.node.stop();
    await swift.stop();
    await folder.remove();
  });

  it('is repaired from there, and Swift from it', async () => {
    const id = await newImage(running);
    await running.client.data.copyImage({ imageId: id, store: 'safe' }, admin);
    const before = await locationsOf(running, id);
    await flipByte(await dataFile(folder.path, FAST, id), 3);
    expect((await running.rest.digest(id)).md5).toBe(MD5);
    const after = await repaired(running, id, before);
    const lost = (await swift.list('images')).filter((name) => name.endsWith('.data'));
    await swift.request('DELETE', `/images/${lost[0] ?? ''}`);
    expect((await running.rest.call('GET', `/v2/images/${id}/file?prefer=safe`)).status).toBe(200);
    await eventually(
      () => locationsOf(running, id),
      (now) => now[1]?.id !== after[1]?.id && now.map(stateOf).join(' ') === 'VERIFIED VERIFIED',
      REPAIR_LIMIT_MS,
    );
    const moved = path.join(folder.path, 'aside');
    await rename(await dataFile(folder.path, FAST, id), moved);
    expect((await running.rest.digest(id)).md5).toBe(MD5);
  });
});
