/** Locations that callers name by URL, over a real catalog and stores whose objects may be named so. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { FailedLocations } from '../../src/application/failed-locations.js';
import type { LocationContext } from '../../src/application/find-location.js';
import { createImage } from '../../src/application/create-image.js';
import { deleteImage } from '../../src/application/delete-image.js';
import { addImageLocation } from '../../src/application/image-locations.js';
import { ImageTurns } from '../../src/application/image-turns.js';
import type { Catalog } from '../../src/application/ports/catalog.js';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { type LocationNaming, StoreRegistry } from '../../src/application/store-registry.js';
import { type RequestedChange, updateImage } from '../../src/application/update-image.js';
import { asNodeId, asObjectKey, asProjectId, asStoreId } from '../../src/base/brand.js';
import { systemTimer } from '../../src/bin/system-timer.js';
import { openEmbeddedCatalog } from '../../src/catalog/embedded-catalog.js';
import type { Caller } from '../../src/domain/caller.js';
import type { Image } from '../../src/domain/image.js';
import { NO_PROTECTION } from '../../src/domain/property-protection.js';
import { tempFolder } from '../support/temp-folder.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let catalog: Catalog;
let context: LocationContext;
const asked: string[] = [];
/** Called once, while an object is inspected. */
let meanwhile: (() => Promise<unknown>) | undefined;

/** A store of objects of 7 bytes that says what it was asked for. */
function bucket(name: string): ImageStore {
  const refuse = (): never => {
    throw new Error('not in this test');
  };
  return {
    id: asStoreId(name),
    type: 'file',
    stat: (key) => {
      asked.push(key);
      return Promise.resolve(key.endsWith('missing') ? undefined : { sizeBytes: key.endsWith('long') ? 8 : 7 });
    },
    async *read(key) {
      const call = meanwhile;
      meanwhile = undefined;
      await call?.();
      yield key.includes('qcow2') ? Buffer.from('QFI\xfb\0\0\0', 'latin1') : new Uint8Array(7);
    },
    ...{ put: refuse, delete: refuse, capacity: refuse, check: refuse, url: refuse },
  };
}

function naming(scheme: string, by: LocationNaming['by']): LocationNaming {
  return { schemes: [scheme], by, locate: (text) => asObjectKey(text.split('//', 2)[1] ?? '') };
}

beforeAll(async () => {
  folder = await tempFolder('named-locations');
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  catalog = await openEmbeddedCatalog({ path: path.join(folder.path, 'catalog.db'), log });
  const entry = { description: '', weight: 0, properties: new Map<string, string>() };
  const stores = new StoreRegistry(
    [
      { ...entry, store: bucket('file') },
      { ...entry, store: bucket('s3'), naming: naming('s3', 'services') },
      { ...entry, store: bucket('web'), naming: naming('http', 'owners') },
    ],
    asStoreId('file'),
  );
  const limits = {
    ...{ pageSizeDefault: 25, pageSizeMax: 1000, imagePropertyQuota: 128, imageTagQuota: 128 },
    ...{ imageMemberQuota: 128, imageLocationQuota: 3, imageSizeCapBytes: 2 ** 40 },
  };
  context = {
    ...{ catalog, stores, nodeId: asNodeId('n1'), hashingAlgorithm: 'sha512', turns: new ImageTurns() },
    ...{ clock: { nowMs: () => Date.now() }, ids: { uuid: () => randomUUID() }, protection: NO_PROTECTION },
    ...{ secureHash: true, formatMatch: 'strict', log, timer: systemTimer },
    rules: { limits, diskFormats: ['raw', 'qcow2'], containerFormats: ['bare'] },
  };
});

afterAll(async () => {
  await catalog.close();
  await folder.remove();
});

const who = (project: string, role = 'member'): Caller => ({
  ...{
    kind: 'user',
    userId: project,
    projectId: asProjectId(project),
    roles: new Set([role]),
    serviceRoles: new Set(),
  },
});
const amy = who('amy');
const eve = who('eve');
const service = who('services', 'service');

async function newImage(caller: Caller, format: string | null = 'raw'): Promise<Image> {
  return createImage(context, caller, {
    ...{ requestId: '', id: undefined, owner: undefined, name: null, visibility: 'community', protected: false },
    ...{ osHidden: false, diskFormat: format, containerFormat: format && 'bare', minDiskGib: 0, minRamMib: 0 },
    ...{ tags: [], properties: new Map() },
  });
}

const post = (caller: Caller, { id }: Image, url: string): Promise<Image> =>
  addImageLocation(context, caller, { imageId: id, requestId: '', url, expected: null });
const patch = async (caller: Caller, { id }: Image, url: string): Promise<Image> => {
  const named = { url, metadata: new Map<string, string>(), expected: null };
  const changes = [{ field: 'new-location' as const, named, index: null }];
  return (await updateImage(context, caller, { id, requestId: '', expectVersion: undefined, changes })).image;
};

it('makes a queued image active with the size of the object, unread and not the service’s', async () => {
  const unread = { digest: 'unverified', created: false, storeId: 'web' };
  const data = { sizeBytes: 7, checksum: null, osHashValue: null, locations: [unread] };
  for (const add of [post, patch])
    expect(await add(amy, await newImage(amy), 'http://mirror/a.raw')).toMatchObject({ status: 'active', data });
  await expect(
    post(amy, await patch(amy, await newImage(amy), 'http://mirror/a'), 'http://mirror/b'),
  ).rejects.toMatchObject({
    reason: 'STATE_CONFLICT',
  });
});

it('CVE-2022-4134: lets services alone name objects that are read with the rights of the service', async () => {
  const image = await newImage(amy);
  for (const add of [post, patch])
    await expect(add(amy, image, 's3://golden/a.raw')).rejects.toMatchObject({ reason: 'FORBIDDEN' });
  expect(await post(service, image, 's3://golden/a.raw')).toMatchObject({ data: { locations: [{ storeId: 's3' }] } });
  expect(await patch(service, await newImage(amy), 's3://golden/a.raw')).toMatchObject({ status: 'active' });
});

it('CVE-2026-71198: does not touch the target for who may not change the image, or when the URL is refused', async () => {
  const image = await newImage(amy);
  asked.length = 0;
  for (const add of [post, patch]) {
    await expect(add(eve, image, 'http://mirror/x')).rejects.toMatchObject({ reason: 'FORBIDDEN' });
    await expect(add(amy, image, 'file:///etc/passwd')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    await expect(add(amy, image, 'http://user:secret@mirror/x')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    await expect(add(amy, image, 's3://golden/a.raw')).rejects.toMatchObject({ reason: 'FORBIDDEN' });
  }
  expect(asked).toEqual([]);
  await expect(post(amy, image, 'http://mirror/missing')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  expect(await catalog.read((reader) => reader.image(image.id)?.status)).toBe('queued');
});

it("LP1546507: neither takes another image's object nor removes what it did not make", async () => {
  const hers = await newImage(amy);
  const his = await newImage(eve);
  await expect(post(eve, his, `http://${hers.id}/${randomUUID()}.data`)).rejects.toMatchObject({
    reason: 'INVALID_ARGUMENT',
  });
  await post(eve, his, 'http://mirror/shared');
  await deleteImage(context, eve, { id: his.id, requestId: '', expectVersion: undefined });
  const place = { nodeId: asNodeId('n1'), unnamed: true, storeIds: [asStoreId('web')] };
  expect(await catalog.read((reader) => reader.garbage(place, 10))).toEqual([]);
});

const addition = (url: string): RequestedChange => ({
  field: 'new-location',
  named: { url, metadata: new Map(), expected: null },
  index: null,
});
const change = async (id: Image['id'], ...changes: readonly RequestedChange[]): Promise<Image> =>
  (await updateImage(context, amy, { id, requestId: '', expectVersion: undefined, changes })).image;
const asQcow2: readonly RequestedChange[] = [
  { field: 'diskFormat', value: 'qcow2' },
  { field: 'containerFormat', value: 'bare' },
];

it('CVE-2024-32498: inspects for the formats that the same patch sets', async () => {
  for (const format of [null, 'raw']) {
    const { id } = await newImage(amy, format);
    for (const url of ['http://mirror/raw', 'http://mirror/qcow2'])
      await expect(change(id, ...asQcow2, addition(url))).rejects.toMatchObject({ reason: 'UNSUPPORTED_MEDIA' });
    expect(await catalog.read((reader) => reader.image(id))).toMatchObject({ status: 'queued', diskFormat: format });
  }
});

it('CVE-2024-32498: inspects what is added to an active image that has no map', async () => {
  const image = await patch(amy, await newImage(amy), 'http://mirror/a');
  await expect(patch(amy, image, 'http://mirror/qcow2')).rejects.toMatchObject({ reason: 'UNSUPPORTED_MEDIA' });
});

it('CVE-2024-32498: refuses what was inspected for formats that were changed meanwhile', async () => {
  for (const add of [post, patch]) {
    const image = await newImage(amy);
    meanwhile = () => change(image.id, ...asQcow2);
    await expect(add(amy, image, 'http://mirror/a')).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
  }
});

it('does not touch the target for an image that may not have it, nor for a request that was answered', async () => {
  const active = await patch(amy, await newImage(amy), 'http://mirror/a');
  const bare = await newImage(amy, null);
  asked.length = 0;
  await expect(post(amy, active, 'http://mirror/b')).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
  for (const add of [post, patch])
    await expect(add(amy, bare, 'http://mirror/b')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  await expect(patch(amy, active, 'http://mirror/a')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  expect(asked).toEqual([]);
  const url = 'http://mirror/c';
  const repeated = { requestId: randomUUID(), url, expected: null, imageId: (await newImage(amy)).id };
  const again = { id: active.id, requestId: randomUUID(), expectVersion: active.version, changes: [addition(url)] };
  for (let times = 0; times < 2; times += 1) {
    expect(await addImageLocation(context, amy, repeated)).toMatchObject({ status: 'active', version: 2 });
    expect((await updateImage(context, amy, again)).image.version).toBe(active.version + 1);
  }
  expect(asked.length).toBe(2);
  await expect(updateImage(context, amy, { ...again, requestId: '' })).rejects.toMatchObject({
    reason: 'VERSION_CONFLICT',
  });
  expect(asked.length).toBe(2);
});

it('CVE-2016-8611: bounds the locations of an image, and asks the store no more often', async () => {
  let image = await newImage(amy);
  for (const name of ['a', 'b', 'c']) image = await patch(amy, image, `http://mirror/${name}`);
  asked.length = 0;
  await expect(patch(amy, image, 'http://mirror/d')).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
  await expect(patch(amy, image, 'http://mirror/a')).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
  const named = { url: 'http://mirror/e', metadata: new Map<string, string>(), expected: null };
  const changes = Array.from({ length: 500 }, () => ({ field: 'new-location' as const, named, index: null }));
  await expect(
    updateImage(context, amy, { id: image.id, requestId: '', expectVersion: undefined, changes }),
  ).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
  expect(asked).toEqual([]);
});

it('refuses an object of another size beside the data', async () => {
  const image = await patch(amy, await newImage(amy), 'http://mirror/a');
  await expect(patch(amy, image, 'http://mirror/long')).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
});

it('remembers a bounded number of failures', () => {
  const failed = new FailedLocations({ nowMs: () => 0 });
  for (let index = 0; index < 3000; index += 1) failed.note(`l${index}`);
  expect([failed.has('l0'), failed.has('l2999')]).toEqual([false, true]);
});
