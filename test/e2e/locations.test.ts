/** An image in two stores while one of them loses, cuts or damages its copy; and what copies and removals leave behind. */
import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { Metadata } from 'nice-grpc-common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import { eventually } from '../support/eventually.js';
import type { TestNode } from '../support/node.js';
import { RestClient } from '../support/rest-client.js';
import { tempFolder } from '../support/temp-folder.js';
import {
  dataFile as dataFileOf,
  FAST,
  filesIn as filesOfStore,
  SLOW,
  startTwoStores,
  storePath,
} from '../support/two-stores.js';

const MIB = 1024 * 1024;
const BYTES = randomBytes(12 * MIB + 77);
const SHA = createHash('sha256').update(BYTES).digest('hex');
const MD5 = createHash('md5').update(BYTES).digest('hex');
const admin = { metadata: Metadata({ 'x-auth-token': 'root:root:admin' }) };

let folder: Awaited<ReturnType<typeof tempFolder>>;
let node: TestNode;
let client: NodeClient;
let rest: RestClient;

async function start(): Promise<void> {
  node = await startTwoStores(folder.path);
  client = connect({ node: node.grpcAddress, token: undefined }, new AbortController().signal);
  rest = new RestClient(node.httpUrl);
}

beforeAll(async () => {
  folder = await tempFolder('locations');
  await start();
});

afterAll(async () => {
  client.close();
  await node.stop();
  await folder.remove();
});

const filesIn = (store: string): Promise<string[]> => filesOfStore(folder.path, store);
const dataFile = (store: string, id: string): Promise<string> => dataFileOf(folder.path, store, id);

async function newImage(bytes: Buffer): Promise<string> {
  const { id } = await rest.create({ disk_format: 'raw', container_format: 'bare' });
  const { status, text } = await rest.upload(id, new Uint8Array(bytes));
  if (status !== 204) throw new Error(`upload answered ${status}: ${text}`);
  return id;
}

const FAULTS = {
  deleted: (file: string) => rm(file),
  truncated: (file: string) => truncate(file, 10 * MIB + 1),
  corrupted: async (file: string) => {
    const at = 11 * MIB + 5;
    const byte = BYTES.subarray(at, at + 1);
    await rewrite(file, at, Buffer.from([(byte[0] ?? 0) ^ 0xff]));
    return () => rewrite(file, at, byte);
  },
};

async function rewrite(file: string, at: number, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, at);
  await handle.close();
}

/** Waits until what was damaged is repaired, and this location is no more. */
async function repaired(id: string, gone: string): Promise<void> {
  await eventually(
    async () => (await client.catalog.listImageLocations({ imageId: id }, admin)).locations,
    (locations) => locations.every((now) => now.digestState.endsWith('_VERIFIED') && now.id !== gone),
    30_000,
  );
}

async function locationIn(store: string, id: string): Promise<string> {
  const { locations } = await client.catalog.listImageLocations({ imageId: id }, admin);
  return locations.find((location) => location.store === store)?.id ?? '';
}

it('gives 20 readers the right bytes while a copy is deleted, cut or damaged under them', async () => {
  const ids: string[] = [];
  const hurtIn = new Map<string, string>();
  // A repair that comes again at once waits for five seconds, so the images take turns.
  for (let count = 0; count < 5; count += 1) ids.push(await newImage(BYTES));
  for (const id of ids) await client.data.copyImage({ imageId: id, store: SLOW }, admin);
  const names = ['deleted', 'truncated', 'corrupted'] as const;
  for (let round = 0; round < 20; round += 1) {
    const hurt = round % 2 === 0 ? FAST : SLOW;
    const fault = FAULTS[names[round % names.length] ?? 'deleted'];
    const id = ids[round % ids.length] ?? '';
    await repaired(id, hurtIn.get(id) ?? '');
    const gone = await locationIn(hurt, id);
    hurtIn.set(id, gone);
    const file = (await filesIn(hurt)).find((name) => name.includes(`${gone}.data`)) ?? '';
    const response = await fetch(`${node.httpUrl}/v2/images/${id}/file?prefer=${hurt}`);
    expect(response.status).toBe(200);
    const hash = createHash('sha256');
    let hurtNow = false;
    for await (const chunk of response.body ?? []) {
      hash.update(chunk as Uint8Array);
      if (!hurtNow) await fault(file);
      hurtNow = true;
    }
    expect(hash.digest('hex')).toBe(SHA);
    // Nor does one who comes now.
    expect((await rest.digest(id)).md5).toBe(MD5);
    // A file that is open when it is deleted is read to its end.
    await client.catalog.repairImage({ imageId: id }, admin);
  }
  expect(node.stderr()).toMatch(/location has other data than was stored/);
}, 180_000);

it('says that data is damaged, and not that it is there, when no copy is good', async () => {
  const id = await newImage(BYTES);
  const heal = await FAULTS.corrupted(await dataFile(FAST, id));
  const range = async (from: number, to: number): Promise<number> =>
    (await rest.call('GET', `/v2/images/${id}/file`, undefined, { headers: { range: `bytes=${from}-${to}` } })).status;
  expect(await range(5, 9)).toBe(206);
  expect(await range(11 * MIB, 11 * MIB + 9)).toBe(500);
  await eventually(
    () => Promise.resolve(node.stderr()),
    (log) => log.includes('location not repaired'),
  );
  await heal();
  expect(await range(11 * MIB, 11 * MIB + 9)).toBe(206);
  await rm(await dataFile(FAST, id));
  expect((await rest.call('GET', `/v2/images/${id}/file`)).status).toBe(502);
});

it('removes the object and the map of a location with it, and no others', async () => {
  const before = [(await filesIn(FAST)).length, (await filesIn(SLOW)).length];
  const counts = async (): Promise<number[]> => [
    (await filesIn(FAST)).length - (before[0] ?? 0),
    (await filesIn(SLOW)).length - (before[1] ?? 0),
  ];
  const id = await newImage(randomBytes(MIB));
  await client.data.copyImage({ imageId: id, store: SLOW }, admin);
  expect(await counts()).toEqual([2, 2]);
  await client.catalog.removeImageFromStore({ imageId: id, store: FAST }, admin);
  expect(await counts()).toEqual([0, 2]);
  expect((await rest.digest(id)).sizeBytes).toBe(MIB);
  await client.data.copyImage({ imageId: id, store: '' }, admin);
  expect(await counts()).toEqual([2, 2]);
  await expect(client.data.copyImage({ imageId: id, store: FAST }, admin)).rejects.toMatchObject({
    reason: 'ALREADY_EXISTS',
  });
  const hers = { metadata: Metadata({ 'x-auth-token': 'eve:eve:member' }) };
  await expect(client.data.copyImage({ imageId: id, store: FAST }, hers)).rejects.toMatchObject({
    reason: 'NOT_FOUND',
  });
  // CVE-2012-4573: what is refused leaves the bytes alone.
  await expect(client.catalog.removeImageFromStore({ imageId: id, store: FAST }, hers)).rejects.toMatchObject({
    reason: 'NOT_FOUND',
  });
  expect(await counts()).toEqual([2, 2]);
  await rest.call('DELETE', `/v2/images/${id}`);
  expect(await counts()).toEqual([0, 0]);
});

it('copies damaged data from where it is whole, or not at all', async () => {
  const id = await newImage(BYTES);
  const heal = await FAULTS.corrupted(await dataFile(FAST, id));
  await expect(client.data.copyImage({ imageId: id, store: SLOW }, admin)).rejects.toMatchObject({
    reason: 'DATA_CORRUPT',
  });
  await heal();
  expect((await filesIn(SLOW)).filter((name) => name.includes(id))).toEqual([]);
  await client.data.copyImage({ imageId: id, store: SLOW }, admin);
  await repaired(id, '');
  const { locations } = await client.catalog.listImageLocations({ imageId: id }, admin);
  expect(locations.map(({ store, digestState, created }) => [store, digestState, created])).toEqual([
    [FAST, 'LOCATION_DIGEST_STATE_VERIFIED', true],
    [SLOW, 'LOCATION_DIGEST_STATE_VERIFIED', true],
  ]);
});

it('leaves nothing of a copy that ends with its node, and the image as it was', async () => {
  const id = await newImage(Buffer.concat([BYTES, BYTES, BYTES, BYTES]));
  const copy = client.data.copyImage({ imageId: id, store: SLOW }, admin).catch((error: unknown) => error);
  await eventually(
    () => readdir(path.join(storePath(folder.path, SLOW), 'tmp')),
    (names) => names.length > 0,
  );
  await node.kill('SIGKILL');
  await copy;
  client.close();
  await start();
  await eventually(
    () => filesIn(SLOW),
    (files) => files.every((file) => !file.includes(id) && !file.includes(`/${SLOW}/tmp/`)),
  );
  expect(await rest.show(id)).toMatchObject({ status: 'active', stores: FAST });
  expect(await client.data.copyImage({ imageId: id, store: SLOW }, admin)).toMatchObject({
    image: { stores: [FAST, SLOW] },
  });
}, 90_000);
