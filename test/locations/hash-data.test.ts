/** Data that lies somewhere already is read for its digests: over a real catalog, real stores and real hash threads. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BackgroundWork } from '../../src/application/background-work.js';
import { copyImage } from '../../src/application/copy-image.js';
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
import { ReadFailures } from '../../src/application/read-failures.js';
import type { UploadCommands } from '../../src/application/ports/upload-commands.js';
import { RunningUploads } from '../../src/application/running-uploads.js';
import { SourceLatency } from '../../src/application/source-latency.js';
import { StoreRegistry } from '../../src/application/store-registry.js';
import { restoreImage } from '../../src/application/delayed-delete.js';
import { takeHashing } from '../../src/application/take-hashing.js';
import { type RequestedChange, updateImage } from '../../src/application/update-image.js';
import { VerifiedUnits } from '../../src/application/verified-units.js';
import { asNodeId, asObjectKey, asProjectId, asStoreId, asUploadId } from '../../src/base/brand.js';
import { ServiceError } from '../../src/base/service-error.js';
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
import { fillingStore, mirrorOver, type StoreFaults, WHOLE_BYTES } from '../support/faulty-stores.js';
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
const faults: StoreFaults = { failures: 0, secret: undefined, meanwhile: undefined, fullTimes: 0 };
const readFailures = new ReadFailures();

beforeAll(async () => {
  folder = await tempFolder('hash-data');
  catalog = await openEmbeddedCatalog({ path: path.join(folder.path, 'catalog.db'), log });
  digester = createDigester();
  files = await openFileStore({ id: asStoreId('file'), path: path.join(folder.path, 'file') });
  mirror = await openFileStore({ id: asStoreId('web'), path: path.join(folder.path, 'web') });
  const entry = { description: '', weight: 0, properties: new Map<string, string>() };
  const stores = new StoreRegistry(
    [
      { ...entry, store: fillingStore(files, faults) },
      {
        ...{ ...entry, store: mirrorOver(mirror, faults) },
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
      hash: (imageId, signal) => hashData(context, imageId, signal, readFailures),
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
  faults.failures = 1;
  await doWork();
  expect((await imageNow(twice)).status).toBe('active');
  const never = await imageAt(bytes, said(sha512(bytes)));
  faults.failures = 2;
  await doWork();
  expect((await imageNow(never)).status).toBe('queued');
  expect(faults.failures).toBe(0);
}, 60_000);

it('takes what took too long for what could not be read, and what is wanted no more for nothing', async () => {
  const bytes = randomBytes(1000);
  const image = await imageAt(bytes, said(sha512(bytes)));
  const ended = AbortSignal.abort();
  const late = AbortSignal.abort(new ServiceError('DEADLINE_EXCEEDED', 'it took longer than 6 hours'));
  for (const signal of [ended, ended, late])
    await expect(hashData(context, image.id, signal, readFailures)).rejects.toBe(signal.reason);
  expect((await imageNow(image)).status).toBe('importing');
  await hashData(context, image.id, late, readFailures);
  expect((await imageNow(image)).status).toBe('queued');
});

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

const BAD_QCOW2 = Buffer.alloc(WHOLE_BYTES);
BAD_QCOW2.write('QFI\xfb', 'latin1');

async function addTo({ id }: Image, bytes: Uint8Array, name = randomUUID()): Promise<Image> {
  const key = asObjectKey(`${name}.img`) ?? expect.fail();
  await mirror.put(key, once(bytes), { signal: new AbortController().signal });
  const named = { url: `http://mirror/${key}`, metadata: new Map<string, string>(), expected: null };
  return changed(id, [{ field: 'new-location', named, index: null }]);
}

async function changed(id: Image['id'], changes: readonly RequestedChange[]): Promise<Image> {
  return (await updateImage(context, amy, { id, requestId: '', expectVersion: undefined, changes })).image;
}

const marksOf = (image: Image): readonly string[] =>
  (dataOf(image)?.locations ?? []).map(({ digest, damage }) => damage ?? digest);
const hashOnce = ({ id }: Image): Promise<void> => hashData(context, id, new AbortController().signal, readFailures);
const workLeft = ({ id: imageId }: Image): Promise<boolean> =>
  catalog.read((reader) => reader.workOf({ nodeId, kind: 'hash', imageId }) !== undefined);

async function drain({ id: imageId }: Image): Promise<void> {
  const request = { imageId, range: null, prefer: [] };
  const opened = (await openDownload(context, amy, request, new AbortController().signal)) ?? expect.fail();
  for await (const chunk of opened.chunks) expect(chunk.length).toBeGreaterThan(0);
}

it('CVE-2024-32498: judges the bytes that were digested, whatever the source said to the inspection', async () => {
  const clean = Buffer.alloc(BAD_QCOW2.length, 1);
  const active = await imageAt(clean, null);
  const importing = await imageAt(clean, said(sha512(BAD_QCOW2)));
  faults.secret = BAD_QCOW2;
  try {
    await hashOnce(active);
    await hashOnce(importing);
  } finally {
    faults.secret = undefined;
  }
  const now = await imageNow(active);
  expect(now).toMatchObject({ status: 'active', data: { osHashValue: null, fileMap: null } });
  expect(marksOf(now)).toEqual(['damaged']);
  await expect(drain(active)).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
  expect((await imageNow(importing)).status).toBe('queued');
  expect([await workLeft(active), await workLeft(importing)]).toEqual([false, false]);
});

it('CVE-2024-32498: judges an importing image by the formats that it has in the end', async () => {
  const bytes = Buffer.alloc(WHOLE_BYTES, 1);
  const changedBefore = await imageAt(bytes, said(sha512(bytes)));
  await changed(changedBefore.id, [{ field: 'diskFormat', value: 'qcow2' }]);
  await hashOnce(changedBefore);
  expect((await imageNow(changedBefore)).status).toBe('queued');
  const changedLater = await imageAt(bytes, said(sha512(bytes)));
  const reading: Catalog = {
    ...{
      listImages: catalog.listImages.bind(catalog),
      close: catalog.close.bind(catalog),
      status: catalog.status.bind(catalog),
    },
    ...{ waitFor: catalog.waitFor.bind(catalog), onAdvance: catalog.onAdvance.bind(catalog) },
    ...{ read: catalog.read.bind(catalog) },
    write: async (effects, options) => {
      const call = faults.meanwhile;
      faults.meanwhile = undefined;
      await call?.();
      return catalog.write(effects, options);
    },
  };
  // Another process writes: this one's changes of an image wait for each other.
  const elsewhere = { ...context, turns: new ImageTurns() };
  const value = 'qcow2';
  const changes = [{ field: 'diskFormat' as const, value }];
  const request = { id: changedLater.id, requestId: '', expectVersion: undefined, changes };
  const { signal } = new AbortController();
  const first = hashData({ ...context, catalog: reading }, changedLater.id, signal, readFailures);
  faults.meanwhile = () => updateImage(elsewhere, amy, request);
  await first;
  expect((await imageNow(changedLater)).status).toBe('queued');
});

it('marks what differs from the first good location', async () => {
  const added = await imageAt(randomBytes(1000), null);
  await addTo(added, randomBytes(1000));
  await hashOnce(added);
  expect(marksOf(await imageNow(added))).toEqual(['verified', 'damaged']);
  expect(await workLeft(added)).toBe(false);
  await drain(added);
});

it('does what it can when one location cannot be read, and goes on with that one', async () => {
  const bytes = randomBytes(1000);
  const key = asObjectKey(`deadly.img`) ?? expect.fail();
  const added = await imageAt(bytes, null);
  const [location] = dataOf(added)?.locations ?? [];
  const dead = { ...(location ?? expect.fail()), id: 'dead', key };
  await mirror.put(key, once(bytes), { signal: new AbortController().signal });
  const { data } = 'data' in added ? added : expect.fail();
  const after = { ...added, version: added.version + 1, data: { ...data, locations: [dead, ...data.locations] } };
  await catalog.write([{ kind: 'update-image', before: added, after }], { opId: randomUUID(), subject: '' });
  await expect(hashOnce(added)).rejects.toThrow('away');
  expect(marksOf(await imageNow(added))).toEqual(['unverified', 'verified']);
  expect(await workLeft(added)).toBe(true);
  await deleteImage(context, amy, { id: added.id, requestId: '', expectVersion: undefined });
  await hashOnce(added);
  expect(await workLeft(added)).toBe(false);
});

it('goes on with a location that was added meanwhile', async () => {
  const bytes = randomBytes(WHOLE_BYTES);
  const added = await imageAt(bytes, null);
  faults.meanwhile = () => addTo(added, bytes);
  await hashOnce(added);
  expect(marksOf(await imageNow(added))).toEqual(['verified', 'unverified']);
  expect(await workLeft(added)).toBe(true);
  await hashOnce(added);
  expect(marksOf(await imageNow(added))).toEqual(['verified', 'verified']);
  expect(await workLeft(added)).toBe(false);
});

it('leaves an image alone that awaits its deletion, until it comes back', async () => {
  const before = await imageAt(randomBytes(1000), null);
  const after: Image = {
    ...before,
    ...{ status: 'pending_delete', version: before.version + 1, data: dataOf(before) ?? expect.fail() },
  };
  await catalog.write([{ kind: 'update-image', before, after }], { opId: randomUUID(), subject: '' });
  await hashOnce(before);
  expect([(await imageNow(before)).version, await workLeft(before)]).toEqual([after.version, false]);
  const admin: Caller = { ...amy, roles: new Set(['admin']) };
  await restoreImage(context, admin, { id: before.id, requestId: '' });
  expect(await workLeft(before)).toBe(true);
  await hashOnce(before);
  expect(marksOf(await imageNow(before))).toEqual(['verified']);
});

it('blames no data for failures of the own store, however many', async () => {
  const bytes = randomBytes(1000);
  const added = await imageAt(bytes, said(sha512(bytes)));
  faults.fullTimes = 3;
  for (let times = 0; times < 3; times += 1)
    await expect(hashOnce(added)).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
  faults.failures = 1;
  await expect(hashOnce(added)).rejects.toThrow('away');
  expect((await imageNow(added)).status).toBe('importing');
  await hashOnce(added);
  expect((await imageNow(added)).status).toBe('active');
});

it('leaves no map when the change that names it is refused', async () => {
  const bytes = randomBytes(1000);
  const added = await imageAt(bytes, null);
  const before = (await filesUnder('file')).length;
  const refusing: Catalog = {
    ...{
      read: catalog.read.bind(catalog),
      listImages: catalog.listImages.bind(catalog),
      close: catalog.close.bind(catalog),
    },
    ...{
      waitFor: catalog.waitFor.bind(catalog),
      onAdvance: catalog.onAdvance.bind(catalog),
      status: catalog.status.bind(catalog),
    },
    write: () => Promise.reject(new ServiceError('INTERNAL', 'refused')),
  };
  const { signal } = new AbortController();
  await expect(hashData({ ...context, catalog: refusing }, added.id, signal, readFailures)).rejects.toThrow('refused');
  expect((await filesUnder('file')).length).toBe(before);
  await hashOnce(added);
  expect(marksOf(await imageNow(added))).toEqual(['verified']);
});

it('takes over what an earlier authority was to read, and gives up what it cannot read itself', async () => {
  const former = asNodeId('n0');
  const node = { role: 'authority', site: 'here', version: '1', httpUrl: '', grpcAddress: '', stores: [] } as const;
  const seen = { ...node, id: former, publicKey: 'k', seenAtMs: 1 };
  await catalog.write([{ kind: 'put-node', node: seen }], { opId: randomUUID(), subject: '' });
  const bytes = randomBytes(1000);
  const here = await imageAt(bytes, null);
  const away = await imageAt(bytes, said(sha512(bytes)));
  for (const { id: imageId } of [here, away]) {
    const mine = await catalog.read((reader) => reader.workOf({ nodeId, kind: 'hash', imageId }));
    const { candidate } = mine ?? expect.fail();
    const location = candidate === null ? null : { ...candidate.location, nodeId: former };
    const moved = candidate === null || location === null ? null : { ...candidate, location };
    const work = { nodeId: former, kind: 'hash', imageId, candidate: moved } as const;
    const effects = [
      { kind: 'remove-work', work: mine ?? expect.fail() } as const,
      { kind: 'put-work', work } as const,
    ];
    await catalog.write(effects, { opId: randomUUID(), subject: '' });
  }
  expect(await takeHashing(context)).toBe(2);
  expect(await takeHashing(context)).toBe(0);
  await hashOnce(here);
  expect(marksOf(await imageNow(here))).toEqual(['verified']);
  await expect(hashOnce(away)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  await hashOnce(away);
  expect((await imageNow(away)).status).toBe('queued');
});

it('CVE-2024-32498: inspects a copy of data that nobody had read', async () => {
  const clean = Buffer.alloc(BAD_QCOW2.length, 1);
  const { id: imageId } = await imageAt(clean, null);
  faults.secret = BAD_QCOW2;
  const { signal } = new AbortController();
  try {
    const source = await openDownload(context, amy, { imageId, range: null, prefer: [] }, signal);
    const uploadId = asUploadId(randomUUID());
    const commands: UploadCommands<string> = {
      begin: () => Promise.resolve({ uploadId, diskFormat: 'raw', containerFormat: 'bare', maxSizeBytes: 2 ** 40 }),
      commit: () => Promise.resolve('committed'),
      abort: () => Promise.resolve(),
    };
    await expect(copyImage(context, { imageId, source, storeName: '' }, commands, signal)).rejects.toMatchObject({
      reason: 'UNSUPPORTED_MEDIA',
    });
  } finally {
    faults.secret = undefined;
  }
});
