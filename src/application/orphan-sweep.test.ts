import { beforeEach, describe, expect, test } from 'vitest';
import { randomUUID } from 'node:crypto';
import { asImageId, asNodeId, asObjectKey, asStoreId, asUploadId, type ObjectKey } from '../base/brand.js';
import type { Image } from '../domain/image.js';
import { sweepOrphans, type SweepContext } from './orphan-sweep.js';
import type { Catalog, CatalogReader } from './ports/catalog.js';
import { StoreRegistry } from './store-registry.js';

const GRACE_MS = 1000;
const HOUR_MS = 3_600_000;

let nowMs: number;
let images: Map<string, Image>;
let leased: Set<string>;
let objects: Map<ObjectKey, number>;
let stalenessMs: number | null;
let fails: Set<ObjectKey>;
let said: string[];
let context: SweepContext;

function keyOf(text: string): ObjectKey {
  return asObjectKey(text) ?? expect.fail(`${text} is no key`);
}

beforeEach(() => {
  nowMs = HOUR_MS;
  images = new Map();
  leased = new Set();
  objects = new Map();
  stalenessMs = 0;
  fails = new Set();
  said = [];
  const reader = {
    image: (id: string) => images.get(id),
    upload: (id: string) => (leased.has(id) ? { uploadId: id } : undefined),
  } as unknown as CatalogReader;
  const catalog = {
    read: <T>(query: (of: CatalogReader) => T) => Promise.resolve(query(reader)),
    status: () => ({ ok: true, message: '', position: { epoch: 1, frame: 0, opId: '' }, stalenessMs }),
  } as unknown as Catalog;
  const store = {
    id: asStoreId('fast'),
    async *list() {
      for (const [key, modifiedAtMs] of objects) yield await Promise.resolve({ key, modifiedAtMs });
    },
    delete: (key: ObjectKey) =>
      fails.has(key) ? Promise.reject(new Error('held')) : Promise.resolve(objects.delete(key)),
  } as never;
  // It comes first, and cannot be listed.
  const broken = {
    id: asStoreId('broken'),
    // eslint-disable-next-line @typescript-eslint/require-await -- it fails at once.
    async *list() {
      throw new Error('not readable');
    },
  } as never;
  const rest = { description: '', weight: 0, properties: new Map<string, string>() };
  const stores = new StoreRegistry(
    [
      { store: broken, ...rest },
      { store, ...rest },
    ],
    asStoreId('fast'),
  );
  const say = (_fields: object, message: string): void => void said.push(message);
  const log = { info: () => undefined, warn: say, error: say };
  context = { catalog, stores, clock: { nowMs: () => nowMs }, log };
});

function sweep(seen: ReadonlyMap<string, number>) {
  return sweepOrphans(context, { graceMs: GRACE_MS, seen, signal: new AbortController().signal });
}

/** Sweeps until all that goes is gone. */
async function sweepAll(): Promise<readonly ObjectKey[]> {
  let { seen } = await sweep(new Map());
  nowMs += GRACE_MS;
  ({ seen } = await sweep(seen));
  return [...objects.keys()];
}

function image(id: string, key: ObjectKey, status: 'active' | 'pending_delete' = 'active'): Image {
  const location = { id: 'l', nodeId: asNodeId('other'), storeId: asStoreId('elsewhere'), key, metadata: new Map() };
  return {
    ...{ id: asImageId(id) ?? expect.fail(), version: 1, name: null, owner: null, visibility: 'shared' },
    ...{ protected: false, osHidden: false, diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0 },
    ...{ createdAtMs: 0, updatedAtMs: 0, tags: [], properties: new Map(), status },
    data: {
      ...{ sizeBytes: 1, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null, fileMap: null },
      locations: [{ ...location, digest: 'verified', created: true }],
    },
  };
}

function orphan(): ObjectKey {
  const key = keyOf(`${randomUUID()}/${randomUUID()}.data`);
  objects.set(key, 0);
  return key;
}

describe('the sweep', () => {
  test('removes what nothing names, when it was so for the time of grace', async () => {
    const key = orphan();
    const first = await sweep(new Map());
    expect([objects.has(key), first.removed]).toEqual([true, 0]);
    nowMs += GRACE_MS - 1;
    const second = await sweep(first.seen);
    expect([objects.has(key), second.removed]).toEqual([true, 0]);
    nowMs += 1;
    const third = await sweep(second.seen);
    expect([objects.has(key), third.removed, third.seen.size]).toEqual([false, 1, 0]);
  });

  test('forgets an orphan that is named again, as by a catalog that was restored', async () => {
    const key = orphan();
    const { seen } = await sweep(new Map());
    nowMs += GRACE_MS;
    const [id = ''] = key.split('/');
    images.set(id, image(id, key));
    const again = await sweep(seen);
    expect([objects.has(key), again.seen.size]).toEqual([true, 0]);
  });

  test('leaves the data and the map of an image alone, also while it awaits its deletion, wherever it is said to lie', async () => {
    for (const status of ['active', 'pending_delete'] as const) {
      const [id, upload] = [randomUUID(), randomUUID()];
      const key = keyOf(`${id}/${upload}.data`);
      images.set(id, image(id, key, status));
      objects.set(key, 0).set(keyOf(`${id}/${upload}.map`), 0);
    }
    expect(await sweepAll()).toHaveLength(4);
  });

  test('leaves what is being uploaded alone, however long that takes', async () => {
    const upload = randomUUID();
    leased.add(asUploadId(upload));
    const key = keyOf(`${randomUUID()}/${upload}.data`);
    objects.set(key, 0);
    expect(await sweepAll()).toEqual([key]);
  });

  test('leaves young objects and names that are not of our form alone', async () => {
    const kept = [
      `${randomUUID()}/disk.data`,
      `backup/${randomUUID()}.data`,
      `${randomUUID()}/${randomUUID()}.qcow2`,
      `${randomUUID()}/${randomUUID()}/x.data`,
      'notes.txt',
    ].map(keyOf);
    for (const key of kept) objects.set(key, 0);
    const young = keyOf(`${randomUUID()}/${randomUUID()}.data`);
    objects.set(young, nowMs + GRACE_MS - 1);
    expect(await sweepAll()).toEqual([...kept, young]);
  });

  test('removes nothing while the catalog is an old copy', async () => {
    orphan();
    for (const age of [GRACE_MS, null]) {
      stalenessMs = age;
      expect(await sweepAll()).toHaveLength(1);
    }
  });

  test('removes nothing where most objects would go: the catalog is empty, or another', async () => {
    for (let at = 0; at < 11; at += 1) orphan();
    expect(await sweepAll()).toHaveLength(11);
    expect(said.at(-1)).toMatch(/^the catalog names so few objects/);
    // Among many that are named they are what they seem to be.
    for (let at = 0; at < 44; at += 1) {
      const id = randomUUID();
      const key = keyOf(`${id}/${randomUUID()}.data`);
      images.set(id, image(id, key));
      objects.set(key, 0);
    }
    expect(await sweepAll()).toHaveLength(44);
  });

  test('goes on after an object that cannot be removed, says so, and tries it again', async () => {
    const [held, other] = [orphan(), orphan()];
    fails.add(held);
    expect(await sweepAll()).toEqual([held]);
    expect(said).toContain('orphan not removed, will be tried again');
    expect(said.filter((line) => line.startsWith('object removed'))).toHaveLength(1);
    expect(objects.has(other)).toBe(false);
    fails.clear();
    const { seen } = await sweep(new Map([[`fast/${held}`, 0]]));
    expect([objects.size, seen.size]).toEqual([0, 0]);
  });

  test('remembers what it saw of a store that cannot be listed, and of what an old copy cannot tell', async () => {
    const key = orphan();
    const before = new Map([
      ['broken/x', 5],
      [`fast/${key}`, nowMs],
    ]);
    stalenessMs = null;
    const { seen } = await sweep(before);
    expect(seen).toEqual(before);
    stalenessMs = 0;
    nowMs += GRACE_MS;
    await sweep(seen);
    expect(objects.size).toBe(0);
  });
});
