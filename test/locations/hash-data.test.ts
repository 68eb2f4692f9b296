/** Data that lies somewhere already is read for its digests: over a real catalog, real stores and real hash threads. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BackgroundWork } from '../../src/application/background-work.js';
import { createImage } from '../../src/application/create-image.js';
import type { DataContext } from '../../src/application/data-context.js';
import { deleteImage } from '../../src/application/delete-image.js';
import { DamageReports } from '../../src/application/damage-reports.js';
import { FailedLocations } from '../../src/application/failed-locations.js';
import { FileMaps } from '../../src/application/file-maps.js';
import { forgetGarbage } from '../../src/application/forget-garbage.js';
import { GarbageCollector } from '../../src/application/garbage-collector.js';
import { hashData } from '../../src/application/hash-data.js';
import { addImageLocation } from '../../src/application/image-locations.js';
import { ImageTurns } from '../../src/application/image-turns.js';
import { openDownload } from '../../src/application/open-download.js';
import type { Catalog, Garbage } from '../../src/application/ports/catalog.js';
import type { Digester } from '../../src/application/ports/digester.js';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { RunningUploads } from '../../src/application/running-uploads.js';
import { SourceLatency } from '../../src/application/source-latency.js';
import { StoreRegistry } from '../../src/application/store-registry.js';
import { VerifiedUnits } from '../../src/application/verified-units.js';
import { asNodeId, asObjectKey, asProjectId, asStoreId } from '../../src/base/brand.js';
import { systemTimer } from '../../src/bin/system-timer.js';
import { openEmbeddedCatalog } from '../../src/catalog/embedded-catalog.js';
import type { Caller } from '../../src/domain/caller.js';
import { dataOf, type Image } from '../../src/domain/image.js';
import type { ExpectedData } from '../../src/domain/location-change.js';
import { NO_PROTECTION } from '../../src/domain/property-protection.js';
import { openFileStore } from '../../src/stores/file/file-store.js';
import { createDigester } from '../../src/workers/digest/digester.js';
import { unitDigest } from '../../src/workers/digest/unit-digest.js';
import { eventually } from '../support/eventually.js';
import { tempFolder } from '../support/temp-folder.js';

const nodeId = asNodeId('n1');
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const amy: Caller = {
  ...{
    kind: 'user',
    userId: 'amy',
    projectId: asProjectId('amy'),
    roles: new Set(['member']),
    serviceRoles: new Set(),
  },
};

let folder: Awaited<ReturnType<typeof tempFolder>>;
let catalog: Catalog;
let digester: Digester;
let files: ImageStore;
let mirror: ImageStore;
let context: DataContext;
let work: BackgroundWork;
/** Reads of the mirror fail while this is above 0, once each. */
let failures = 0;

beforeAll(async () => {
  folder = await tempFolder('hash-data');
  catalog = await openEmbeddedCatalog({ path: path.join(folder.path, 'catalog.db'), log });
  digester = createDigester();
  files = await openFileStore({ id: asStoreId('file'), path: path.join(folder.path, 'file') });
  mirror = await openFileStore({ id: asStoreId('web'), path: path.join(folder.path, 'web') });
  const failing: ImageStore = {
    ...{ id: mirror.id, type: 'file', put: mirror.put.bind(mirror), stat: mirror.stat.bind(mirror) },
    ...{ delete: mirror.delete.bind(mirror), capacity: mirror.capacity.bind(mirror), check: mirror.check.bind(mirror) },
    url: (key) => `http://mirror/${key}`,
    read: (key, range, options) => {
      if (failures <= 0) return mirror.read(key, range, options);
      failures -= 1;
      throw new Error('the mirror is away');
    },
  };
  const entry = { description: '', weight: 0, properties: new Map<string, string>() };
  const stores = new StoreRegistry(
    [
      { ...entry, store: files },
      {
        ...{ ...entry, store: failing },
        naming: { schemes: ['http'], by: 'owners', locate: (text) => asObjectKey(new URL(text).pathname.slice(1)) },
      },
    ],
    asStoreId('file'),
  );
  context = contextOver(stores);
});

afterAll(async () => {
  await work.close();
  await digester.close();
  await catalog.close();
  await folder.remove();
});

function contextOver(stores: StoreRegistry): DataContext {
  const limits = {
    ...{ pageSizeDefault: 25, pageSizeMax: 1000, imagePropertyQuota: 128, imageTagQuota: 128 },
    ...{ imageMemberQuota: 128, imageLocationQuota: 3, imageSizeCapBytes: 2 ** 40 },
  };
  const ids = { uuid: () => randomUUID() };
  const clock = { nowMs: () => Date.now() };
  const failed = new FailedLocations(clock);
  const readable = { nodeId, ownsUnnamed: true, peers: null, stores, storeIdleMs: 5000, timer: systemTimer };
  const maps = new FileMaps({ ...readable, failed, log });
  const commands = {
    abortUpload: () => Promise.reject(new Error('no upload runs in this test')),
    forgetGarbage: (rows: readonly Garbage[]) => forgetGarbage({ catalog, ids }, rows),
    reportLocation: () => Promise.reject(new Error('no damage is met in this test')),
    endRepair: () => Promise.reject(new Error('nothing is repaired in this test')),
  };
  return {
    ...{ catalog, clock, ids, protection: NO_PROTECTION, turns: new ImageTurns() },
    rules: { limits, diskFormats: ['raw', 'qcow2'], containerFormats: ['bare'] },
    ...{ ...readable, site: 'here', locationStrategy: 'local-first', failed, latency: new SourceLatency(clock) },
    ...{ maps, unitDigest },
    ...{ verified: new VerifiedUnits(), digester, uploads: new RunningUploads(), log, commands, cached: null },
    damage: new DamageReports({ ...readable, maps, unitDigest, commands, log }),
    garbage: new GarbageCollector({ catalog, nodeId, ownsUnnamed: true, stores, commands, log }),
    ...{ hashingAlgorithm: 'sha512', formatMatch: 'strict', secureHash: true, hashAttempts: 2 },
  };
}

/** Does the background work until there is none. */
async function doWork(): Promise<void> {
  work = new BackgroundWork(
    { list: (after, limit) => catalog.read((reader) => reader.work(nodeId, after, limit)), timer: systemTimer, log },
    {
      hash: (imageId, signal, failed) => hashData(context, imageId, signal, failed),
      repair: () => Promise.reject(new Error('no such work in this test')),
    },
  );
  work.wake();
  await eventually(
    () => catalog.read((reader) => reader.work(nodeId, undefined, 1).length),
    (left) => left === 0,
    20_000,
  );
  await work.close();
}

async function filesUnder(store: string): Promise<readonly string[]> {
  const entries = await readdir(path.join(folder.path, store), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'store-id')
    .map((entry) => path.join(entry.parentPath, entry.name));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

async function imageAt(bytes: Uint8Array, expected: ExpectedData | null, diskFormat = 'raw'): Promise<Image> {
  const key = asObjectKey(`${randomUUID()}.img`) ?? expect.fail();
  await mirror.put(key, once(bytes), { signal: new AbortController().signal });
  const { id } = await createImage(context, amy, {
    ...{ requestId: '', id: undefined, owner: undefined, name: null, visibility: 'community', protected: false },
    ...{ osHidden: false, diskFormat, containerFormat: 'bare', minDiskGib: 0, minRamMib: 0 },
    ...{ tags: [], properties: new Map() },
  });
  return addImageLocation(context, amy, { imageId: id, requestId: '', url: `http://mirror/${key}`, expected });
}

const imageNow = async ({ id }: Image): Promise<Image> =>
  (await catalog.read((reader) => reader.image(id))) ?? expect.fail();
const sha512 = (bytes: Uint8Array): string => createHash('sha512').update(bytes).digest('hex');
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const said = (osHashValue: string): ExpectedData => ({ checksum: null, osHashAlgo: 'sha512', osHashValue });

it('fills the digests of an image that is active meanwhile, and every later read is verified by its map', async () => {
  const bytes = randomBytes(3 * 1024 * 1024 + 17);
  const added = await imageAt(bytes, null);
  expect(added).toMatchObject({ status: 'active', data: { checksum: null, osHashValue: null, fileMap: null } });
  await doWork();
  const image = await imageNow(added);
  expect(image).toMatchObject({
    ...{ status: 'active', version: added.version + 1 },
    data: {
      ...{ sizeBytes: bytes.length, checksum: md5(bytes), osHashAlgo: 'sha512', osHashValue: sha512(bytes) },
      ...{ locations: [{ digest: 'verified', created: false }], fileMap: { storeId: 'file', nodeId } },
    },
  });
  const download = async (): Promise<Buffer> => {
    const request = { imageId: image.id, range: null, prefer: [] };
    const opened = (await openDownload(context, amy, request, new AbortController().signal)) ?? expect.fail();
    const chunks: Buffer[] = [];
    for await (const chunk of opened.chunks) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  };
  expect((await download()).equals(bytes)).toBe(true);
  const [location] = dataOf(image)?.locations ?? [];
  const file = (await filesUnder('web')).find((name) => name.endsWith(location?.key ?? '-'));
  const changed = Buffer.from(bytes);
  changed[2_000_000] = (changed[2_000_000] ?? 0) ^ 1;
  await writeFile(file ?? expect.fail(), changed);
  await expect(download()).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
});

it('makes an image active once its data turned out to be what was said', async () => {
  const bytes = randomBytes(2_000_000);
  const added = await imageAt(bytes, said(sha512(bytes)));
  expect(added.status).toBe('importing');
  expect(dataOf(added)).toBeUndefined();
  await doWork();
  expect(await imageNow(added)).toMatchObject({
    status: 'active',
    data: { checksum: md5(bytes), osHashValue: sha512(bytes), locations: [{ digest: 'verified' }] },
  });
});

it('queues an image again whose data is not what was said, without a location', async () => {
  const added = await imageAt(randomBytes(1000), said('a'.repeat(128)));
  await doWork();
  expect((await imageNow(added)).status).toBe('queued');
});

it('tries again when the data cannot be read, and gives up in the end', async () => {
  const bytes = randomBytes(1000);
  const twice = await imageAt(bytes, said(sha512(bytes)));
  failures = 1;
  await doWork();
  expect((await imageNow(twice)).status).toBe('active');
  const never = await imageAt(bytes, said(sha512(bytes)));
  failures = 2;
  await doWork();
  expect((await imageNow(never)).status).toBe('queued');
  expect(failures).toBe(0);
}, 60_000);

it('CVE-2024-32498: refuses content that may not be, before the image has a location', async () => {
  const bytes = Buffer.alloc(1024 * 1024);
  bytes.write('QFI\xfb', 'latin1');
  await expect(imageAt(bytes, null)).rejects.toMatchObject({ reason: 'UNSUPPORTED_MEDIA' });
});

it('OSSA-2015-004: does nothing to an image that was deleted meanwhile, and leaves no map', async () => {
  const before = (await filesUnder('file')).length;
  const bytes = randomBytes(1000);
  for (const expected of [null, said(sha512(bytes))]) {
    const { id } = await imageAt(bytes, expected);
    await deleteImage(context, amy, { id, requestId: '', expectVersion: undefined });
    await doWork();
    expect((await catalog.read((reader) => reader.image(id)))?.status).toBe('deleted');
  }
  expect((await filesUnder('file')).length).toBe(before);
});

it('removes the map with the image', async () => {
  const added = await imageAt(randomBytes(1000), null);
  await doWork();
  const { fileMap } = dataOf(await imageNow(added)) ?? expect.fail();
  await deleteImage(context, amy, { id: added.id, requestId: '', expectVersion: undefined });
  await context.garbage.collect();
  expect(fileMap).not.toBeNull();
  expect(await files.stat(fileMap?.key ?? expect.fail())).toBeUndefined();
});
