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
    delete: (key: ObjectKey) => Promise.resolve(objects.delete(key)),
  } as never;
  const stores = new StoreRegistry([{ store, description: '', weight: 0, properties: new Map() }], asStoreId('fast'));
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
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
});
