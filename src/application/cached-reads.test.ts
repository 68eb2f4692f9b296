import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.js';
import { tempFolder } from '../../test/support/temp-folder.js';
import { asImageId, asNodeId, asObjectKey, asStoreId, type ImageId, type ObjectKey } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { systemTimer } from '../bin/system-timer.js';
import { UNIT_BYTES } from '../base/units.js';
import { encodeFileMap } from '../blocks/file-map.js';
import type { Image, ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import { openDiskCache } from '../stores/cache/disk-cache.js';
import { unitDigest } from '../workers/digest/unit-digest.js';
import { CachedReads } from './cached-reads.js';
import { FailedLocations } from './failed-locations.js';
import { FileMaps } from './file-maps.js';
import type { ImageCache } from './ports/image-cache.js';
import type { ByteRange, ImageStore } from './ports/image-store.js';
import type { ReadingContext } from './read-locations.js';
import { StoreRegistry } from './store-registry.js';
import type { ReadingWay } from './location-order.js';
import { SourceLatency } from './source-latency.js';
import { VerifiedUnits } from './verified-units.js';

const NODE = asNodeId('n');
const UNITS = 40;
const SIZE = UNITS * UNIT_BYTES - 12_345;
const BYTES = randomBytes(SIZE);
const KEY = keyOf('x/u.data');
const MAP_KEY = keyOf('x/u.map');
const MAP = encodeFileMap({
  sizeBytes: SIZE,
  unitDigests: Buffer.concat(Array.from({ length: UNITS }, (_, index) => unitDigest(unitOf(index)))),
  unitIsZero: new Uint8Array(UNITS),
});

function keyOf(text: string): ObjectKey {
  const key = asObjectKey(text);
  if (key === undefined) throw new Error('no key');
  return key;
}

function unitOf(unitIndex: number): Buffer {
  return BYTES.subarray(unitIndex * UNIT_BYTES, (unitIndex + 1) * UNIT_BYTES);
}

/** A store elsewhere, that counts what is read of the data. */
class Origin implements ImageStore {
  readonly id = asStoreId('far');
  readonly type = 's3';
  sentBytes = 0;
  reads = 0;
  /** Reads of the data that have not ended. */
  running = 0;
  isAway = false;

  stat(key: ObjectKey) {
    if (this.isAway) return Promise.reject(new ServiceError('UNAVAILABLE', 'away'));
    return Promise.resolve({ sizeBytes: key === KEY ? SIZE : MAP.bytes.length });
  }

  async *read(key: ObjectKey, { offsetBytes, lengthBytes }: ByteRange): AsyncGenerator<Uint8Array> {
    const object = key === KEY ? BYTES : Buffer.from(MAP.bytes);
    if (key === KEY) this.reads += 1;
    if (key === KEY) this.running += 1;
    try {
      for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += 300_000) {
        if (this.isAway) throw new ServiceError('UNAVAILABLE', 'away');
        const chunk = Buffer.from(object.subarray(at, Math.min(at + 300_000, offsetBytes + lengthBytes)));
        if (key === KEY) this.sentBytes += chunk.length;
        await new Promise((resolve) => setImmediate(resolve));
        yield chunk;
      }
    } finally {
      if (key === KEY) this.running -= 1;
    }
  }

  put = () => Promise.reject(new Error('not in this test'));
  delete = () => Promise.resolve(false);
  capacity = () => Promise.resolve(undefined);
  check = () => Promise.resolve();
  url = () => '';
}

let folder: Awaited<ReturnType<typeof tempFolder>>;
let origin: Origin;
let cache: ImageCache;
let reads: CachedReads;
let context: ReadingContext;
let warnings: string[];

const location: Location = {
  ...{ id: 'l', nodeId: NODE, storeId: asStoreId('far'), key: KEY, metadata: new Map() },
  ...{ digest: 'verified', created: true },
};
const way: ReadingWay = { location, through: 'store' };
const data: ImageData = {
  ...{ sizeBytes: SIZE, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null },
  locations: [location],
  fileMap: { storeId: asStoreId('far'), key: MAP_KEY, sizeBytes: MAP.bytes.length, sha256: MAP.sha256 },
};
const image: Image = {
  ...{ id: asImageId('11111111-1111-4111-8111-111111111111') as ImageId, version: 1, name: null, owner: null },
  ...{ visibility: 'shared', protected: false, osHidden: false, createdAtMs: 0, updatedAtMs: 0, tags: [] },
  ...{ diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0, properties: new Map() },
  ...{ status: 'active', data },
};

beforeEach(async () => {
  folder = await tempFolder('cached-reads');
  warnings = [];
  origin = new Origin();
  await start();
});

afterEach(() => folder.remove());

/** As a node does that starts over what an earlier one left. */
async function start(maxUnits = 100): Promise<void> {
  cache = await openDiskCache({
    path: folder.path,
    maxBytes: maxUnits * UNIT_BYTES,
    clock: { nowMs: () => Date.now() },
  });
  const stores = new StoreRegistry(
    [{ store: origin, description: '', weight: 1, properties: new Map() }],
    asStoreId('far'),
  );
  const failed = new FailedLocations({ nowMs: () => 0 });
  const warn = (_facts: object, message: string): void => void warnings.push(message);
  const log = { info: () => undefined, warn, error: warn };
  const readable = { nodeId: NODE, ownsUnnamed: true, peers: null, stores, storeIdleMs: 2000, timer: systemTimer };
  const maps = new FileMaps({ ...readable, failed, log, keptMap: (sha256) => cache.map(sha256) });
  const latency = new SourceLatency({ nowMs: () => 0 });
  const damage = { note: () => undefined };
  context = { ...readable, failed, damage, latency, maps, verified: new VerifiedUnits(), log, unitDigest };
  reads = new CachedReads(context, cache);
}

interface Wish {
  readonly from?: number;
  readonly length?: number;
  readonly signal?: AbortSignal;
}

function source({ from = 0, length = SIZE - from, signal = new AbortController().signal }: Wish = {}) {
  return reads.read([way], { image, data, range: { offsetBytes: from, lengthBytes: length }, signal });
}

/** Reads and compares; what comes is not kept. */
async function readWhole(wish: Wish = {}, afterUnit: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  let at = wish.from ?? 0;
  for await (const chunk of await source(wish)) {
    if (Buffer.compare(chunk, BYTES.subarray(at, at + chunk.length)) !== 0) throw new Error(`other bytes at ${at}`);
    at += chunk.length;
    await afterUnit();
  }
  expect(at).toBe(wish.length === undefined ? SIZE : (wish.from ?? 0) + wish.length);
}

async function damage(unitIndex: number): Promise<void> {
  const file = await open(path.join(folder.path, image.id, 'data'), 'r+');
  await file.write(Buffer.from('damage'), 0, 6, unitIndex * UNIT_BYTES + 100);
  await file.close();
}

describe('reads by way of the cache', () => {
  it('fetch once for a hundred who read at once, and not at all for those after', async () => {
    await Promise.all(Array.from({ length: 100 }, () => readWhole()));
    expect(origin.sentBytes).toBe(SIZE);
    expect(origin.reads).toBe(1);
    await readWhole();
    expect(origin.sentBytes).toBe(SIZE);
    expect(cache.heldBytes).toBe(SIZE);
    expect(reads.counts).toEqual({ hits: 1, misses: 100, servedBytes: 101 * SIZE, fetchedBytes: SIZE });
  });

  it('fetch once for readers who begin, end and are at any place', async () => {
    const wishes = [0, 7.5, 3, 31, 20.1, 39].flatMap((unit) =>
      [1000, 3 * UNIT_BYTES, undefined].map((length) => {
        const from = Math.floor(unit * UNIT_BYTES);
        return length === undefined || from + length > SIZE ? { from } : { from, length };
      }),
    );
    await Promise.all(wishes.map((wish) => readWhole(wish)));
    expect(origin.sentBytes).toBeLessThanOrEqual(1.05 * SIZE);
    await readWhole();
    expect(origin.sentBytes).toBeLessThanOrEqual(1.05 * SIZE);
  });

  it('let a slow reader hold up nobody, and give it the rest from the disk', async () => {
    let isFirst = true;
    await readWhole({}, async () => {
      if (isFirst) await readWhole();
      isFirst = false;
    });
    expect(origin.sentBytes).toBe(SIZE);
  });

  it('fetch no further ahead of the fastest reader than a few units, and nothing for a reader who has left', async () => {
    const reader = (await source())[Symbol.asyncIterator]();
    await reader.next();
    await eventually(
      () => Promise.resolve(origin.sentBytes),
      (bytes) => bytes >= 8 * UNIT_BYTES,
    );
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(origin.sentBytes).toBeLessThanOrEqual(13 * UNIT_BYTES);
    await reader.return?.();
    expect(origin.running).toBe(0);
    expect(origin.sentBytes).toBeLessThanOrEqual(13 * UNIT_BYTES);
  });

  it('fetch for a small range no more than its units', async () => {
    await readWhole({ from: 5 * UNIT_BYTES - 10, length: 20 });
    expect(origin.sentBytes).toBe(2 * UNIT_BYTES);
    await readWhole({ from: 4 * UNIT_BYTES, length: 1000 });
    expect(origin.sentBytes).toBe(2 * UNIT_BYTES);
  });

  it('fetch a unit again that was damaged on the disk, before and after a restart, and tell nobody but the log', async () => {
    await readWhole();
    await damage(11);
    await readWhole();
    expect(origin.sentBytes).toBe(SIZE + UNIT_BYTES);
    await damage(12);
    await start();
    await readWhole();
    expect(origin.sentBytes).toBe(SIZE + 2 * UNIT_BYTES);
    expect(warnings.filter((text) => text.includes('not what was stored'))).toHaveLength(2);
    await readWhole();
    expect(origin.sentBytes).toBe(SIZE + 2 * UNIT_BYTES);
  });

  it('serve what is there after a restart while the origin is away', async () => {
    await readWhole({ from: 0, length: 20 * UNIT_BYTES });
    await start();
    origin.isAway = true;
    await readWhole({ from: 5, length: 19 * UNIT_BYTES });
    await expect(readWhole({ from: 19 * UNIT_BYTES, length: 2 * UNIT_BYTES })).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
    });
    origin.isAway = false;
    await readWhole();
  });

  it('fail all who wait when the origin fails, and nobody after', async () => {
    const readers = Promise.allSettled(
      Array.from({ length: 5 }, () =>
        readWhole({}, () => {
          if (origin.sentBytes > 15 * UNIT_BYTES) origin.isAway = true;
          return Promise.resolve();
        }),
      ),
    );
    expect((await readers).map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 'rejected'));
    origin.isAway = false;
    await readWhole();
  });

  it('go on past a cache that is full, and say so once', async () => {
    await start(10);
    await Promise.all(Array.from({ length: 5 }, () => readWhole()));
    expect(cache.heldBytes).toBeLessThanOrEqual(10 * UNIT_BYTES);
    expect(warnings).toEqual(['the cache has no room: images are read past it']);
    await readWhole();
  });

  it('end when their reader goes away, also while the origin says nothing', async () => {
    const stop = new AbortController();
    origin.read = async function* () {
      await new Promise<never>(() => undefined);
      yield new Uint8Array(0);
    };
    const reading = readWhole({ signal: stop.signal });
    setImmediate(() => stop.abort(new Error('gone')));
    await expect(reading).rejects.toThrow('gone');
  });

  it('fill what is missing, and say when there is no room for it', async () => {
    await readWhole({ from: 10 * UNIT_BYTES, length: 5 * UNIT_BYTES });
    await reads.fill([way], { image, data, signal: new AbortController().signal });
    expect(origin.sentBytes).toBe(SIZE);
    expect(cache.get(image.id)).toMatchObject({ cachedBytes: SIZE, hits: 0 });
    await cache.remove(image.id);
    await start(5);
    await expect(reads.fill([way], { image, data, signal: new AbortController().signal })).rejects.toMatchObject({
      reason: 'LIMIT_EXCEEDED',
    });
  });

  it('are kept anew when the image was taken out of the cache under a reader', async () => {
    let removed = false;
    await readWhole({}, async () => {
      if (removed) return;
      removed = true;
      await cache.remove(image.id);
      await reads.fill([way], { image, data, signal: new AbortController().signal });
      expect(cache.heldBytes).toBe(SIZE);
    });
    await readWhole();
    expect(reads.counts.hits).toBe(1);
    expect(cache.heldBytes).toBe(SIZE);
  });

  it('are not for data without a map, nor for what a file store of this node has', () => {
    expect(reads.takes([way], data)).toBe(true);
    expect(reads.takes([], data)).toBe(true);
    expect(reads.takes([way], { ...data, fileMap: null })).toBe(false);
    Object.defineProperty(origin, 'type', { value: 'file' });
    expect(reads.takes([way], data)).toBe(false);
    expect(reads.takes([{ location, through: 'node' }], data)).toBe(true);
  });
});
