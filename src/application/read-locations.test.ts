import { createHash, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { asImageId, asNodeId, asObjectKey, asStoreId, type ImageId, type ObjectKey } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { encodeFileMap } from '../blocks/file-map.js';
import type { Image, ImageData } from '../domain/image.js';
import type { Damage, Location } from '../domain/location.js';
import { systemTimer } from '../bin/system-timer.js';
import { unitDigest } from '../workers/digest/unit-digest.js';
import type { Suspect } from './damage-reports.js';
import { FailedLocations } from './failed-locations.js';
import { FileMaps } from './file-maps.js';
import { readingOrder, type ReadingWay, wayName } from './location-order.js';
import { waysTo } from './object-reads.js';
import type { ByteRange, ImageStore, StoreType } from './ports/image-store.js';
import type { PeerObjects } from './ports/peer-objects.js';
import { SourceLatency } from './source-latency.js';
import { VerifiedUnits } from './verified-units.js';
import { type ReadingContext, readLocations } from './read-locations.js';
import { StoreRegistry } from './store-registry.js';

const NODE = asNodeId('n');
const SIZE = 3 * UNIT_BYTES + 12_345;
const BYTES = randomBytes(SIZE);
const MAP = encodeFileMap(mapOf(BYTES));
const KEY = keyOf('x/u.data');
const MAP_KEY = keyOf('x/u.map');
const IMAGE_ID = asImageId('11111111-1111-4111-8111-111111111111') as ImageId;

function keyOf(text: string): ObjectKey {
  const key = asObjectKey(text);
  if (key === undefined) throw new Error('no key');
  return key;
}

function mapOf(bytes: Buffer) {
  const units = Array.from({ length: Math.ceil(bytes.length / UNIT_BYTES) }, (_, index) =>
    bytes.subarray(index * UNIT_BYTES, (index + 1) * UNIT_BYTES),
  );
  const unitDigests = Buffer.concat(units.map((unit) => unitDigest(unit)));
  return { sizeBytes: bytes.length, unitDigests, unitIsZero: new Uint8Array(units.length) };
}

/** A store in memory, that can go wrong at one byte of the data. */
class Store implements ImageStore {
  type: StoreType = 'file';
  readonly objects = new Map<string, Buffer>([
    [KEY, BYTES],
    [MAP_KEY, Buffer.from(MAP.bytes)],
  ]);
  readonly id;
  reads = 0;
  /** By the test's clock, before the first chunk. */
  delayMs = 0;
  version: string | undefined;
  /** The fault happens once. */
  mends = false;
  fault: { readonly atByte: number; readonly how: 'stall' | 'error' | 'end' | 'damage' } | undefined;

  constructor(name: string) {
    this.id = asStoreId(name);
  }

  stat(key: ObjectKey) {
    const object = this.objects.get(key);
    return Promise.resolve(object === undefined ? undefined : { sizeBytes: object.length });
  }

  async *read(key: ObjectKey, { offsetBytes, lengthBytes }: ByteRange): AsyncGenerator<Uint8Array> {
    if (key === KEY) this.reads += 1;
    if (key === KEY) nowMs += this.delayMs;
    const object = this.objects.get(key) ?? Buffer.alloc(0);
    const fault = key === KEY ? this.fault : undefined;
    // Neither units nor aligned to them.
    for (let at = offsetBytes; at < offsetBytes + lengthBytes; at += 300_000) {
      const chunk = Buffer.from(object.subarray(at, Math.min(at + 300_000, offsetBytes + lengthBytes)));
      if (fault !== undefined && fault.atByte >= at && fault.atByte < at + chunk.length) {
        if (this.mends) this.fault = undefined;
        if (fault.how === 'error') throw new ServiceError('UNAVAILABLE', 'gone');
        if (fault.how === 'end') return;
        if (fault.how === 'stall') await new Promise<never>(() => undefined);
        chunk[fault.atByte - at] = (chunk[fault.atByte - at] ?? 0) ^ 1;
      }
      yield await Promise.resolve(chunk);
    }
  }

  versionOf = (): Promise<string | undefined> => Promise.resolve(this.version);
  put = () => Promise.reject(new Error('not in this test'));
  delete = () => Promise.resolve(false);
  capacity = () => Promise.resolve({ totalBytes: 0, freeBytes: 0 });
  check = () => Promise.resolve();
  url = () => '';
}

let fast: Store;
let slow: Store;
let context: ReadingContext;
let nowMs: number;
let warnings: number;
let noted: string[];
let digests: number;
const at = (store: string): Location => ({
  ...{ id: `in-${store}`, nodeId: NODE, storeId: asStoreId(store), key: KEY, metadata: new Map() },
  ...{ digest: 'verified', created: true },
});
const data: ImageData = {
  ...{ sizeBytes: SIZE, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null },
  locations: [at('fast'), at('slow')],
  fileMap: { storeId: asStoreId('fast'), key: MAP_KEY, sizeBytes: MAP.bytes.length, sha256: MAP.sha256 },
};
const image: Image = {
  ...{ id: IMAGE_ID, version: 1, name: null, owner: null, visibility: 'shared', protected: false, osHidden: false },
  ...{ diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
  ...{ tags: [], properties: new Map(), status: 'active', data },
};

beforeEach(() => {
  fast = new Store('fast');
  slow = new Store('slow');
  nowMs = 0;
  warnings = 0;
  const registered = (store: Store, weight: number) => ({ store, description: '', weight, properties: new Map() });
  const stores = new StoreRegistry([registered(fast, 2), registered(slow, 1)], fast.id);
  const failed = new FailedLocations({ nowMs: () => nowMs });
  const count = (): void => void (warnings += 1);
  const log = { info: () => undefined, warn: count, error: count };
  const readable = { nodeId: NODE, ownsUnnamed: true, peers: null, stores, storeIdleMs: 50, timer: systemTimer };
  const counted = (unit: Uint8Array): Uint8Array => {
    digests += 1;
    return unitDigest(unit);
  };
  digests = 0;
  noted = [];
  const damage = {
    note: ({ location }: Suspect, found: Damage) => void noted.push(`${location.id} ${found}`),
  };
  const latency = new SourceLatency({ nowMs: () => nowMs });
  const maps = new FileMaps({ ...readable, failed, log });
  context = { ...readable, failed, damage, log, unitDigest: counted, maps, verified: new VerifiedUnits(), latency };
});

function order(of: ImageData): readonly ReadingWay[] {
  return readingOrder(of.locations, {
    ...{ strategy: 'local-first', prefer: [], site: 'here', sites: new Map() },
    waysTo: (location) => waysTo(context, location),
    isOnDisk: () => true,
    storeSite: () => undefined,
    weight: (storeId) => context.stores.weight(storeId),
    failed: (way) => context.failed.has(wayName(way)),
    slowness: () => 0,
  });
}

async function read(offsetBytes = 0, lengthBytes = SIZE, of: ImageData = data): Promise<Buffer> {
  const { signal } = new AbortController();
  const range = { offsetBytes, lengthBytes };
  const parts: Buffer[] = [];
  for await (const chunk of await readLocations(context, order(of), { image, data: of, range, signal }))
    parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('mid-stream failover', () => {
  const faults = (['stall', 'error', 'end', 'damage'] as const).flatMap((how) =>
    [0, UNIT_BYTES - 1, 2 * UNIT_BYTES + 7, SIZE - 1].map((atByte) => [how, atByte] as const),
  );
  it.each(faults)('goes on at the other location after a fault (%s) at byte %i', async (how, atByte) => {
    fast.fault = { atByte, how };
    expect(sha(await read())).toBe(sha(BYTES));
    expect([fast.reads, slow.reads]).toEqual([1, 1]);
    expect(warnings).toBe(1);
    // What does not answer, or breaks off, may be whole.
    expect(noted).toEqual(how === 'damage' ? ['in-fast damaged'] : []);
    // What failed is left alone for some time.
    expect(sha(await read(5, SIZE - 9))).toBe(sha(BYTES.subarray(5, SIZE - 4)));
    expect([fast.reads, slow.reads]).toEqual([1, 2]);
    nowMs += 61_000;
    fast.fault = undefined;
    await read();
    expect(fast.reads).toBe(2);
  });

  it('goes back to a location that failed when the other fails later', async () => {
    fast.fault = { atByte: 10, how: 'error' };
    slow.fault = { atByte: 2 * UNIT_BYTES + 1, how: 'damage' };
    expect(sha(await read())).toBe(sha(BYTES));
    expect([fast.reads, slow.reads]).toEqual([2, 1]);
  });

  it.each([
    [0, 1],
    [UNIT_BYTES - 1, 2],
    [UNIT_BYTES, UNIT_BYTES],
    [SIZE - 3, 3],
    [7, 0],
  ])('reads %i and %i bytes, verified', async (offsetBytes, lengthBytes) => {
    fast.fault = { atByte: Math.min(offsetBytes + 1, SIZE - 1), how: 'damage' };
    expect((await read(offsetBytes, lengthBytes)).equals(BYTES.subarray(offsetBytes, offsetBytes + lengthBytes))).toBe(
      true,
    );
  });
});

describe('a file that was checked', () => {
  it('is not checked again until it is touched', async () => {
    fast.version = 'one';
    await read(0, UNIT_BYTES + 1);
    expect(digests).toBe(2);
    await read();
    expect(digests).toBe(Math.ceil(SIZE / UNIT_BYTES));
    await read();
    expect(digests).toBe(Math.ceil(SIZE / UNIT_BYTES));
    fast.version = 'two';
    fast.fault = { atByte: 5, how: 'damage' };
    expect(sha(await read())).toBe(sha(BYTES));
    expect([fast.reads, slow.reads]).toEqual([4, 1]);
  });

  it('of a store that cannot tell is checked each time', async () => {
    await read();
    await read();
    expect(digests).toBe(2 * Math.ceil(SIZE / UNIT_BYTES));
  });
});

describe('when no location is good', () => {
  it('tells damage from absence, and absence from silence', async () => {
    for (const store of [fast, slow]) store.fault = { atByte: 5, how: 'damage' };
    await expect(read()).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
    for (const store of [fast, slow]) store.objects.delete(KEY);
    noted = [];
    await expect(read()).rejects.toMatchObject({ reason: 'UPSTREAM_FAILED' });
    expect(noted).toEqual(['in-fast missing', 'in-slow missing']);
    fast.objects.set(KEY, BYTES);
    fast.fault = { atByte: 5, how: 'stall' };
    await expect(read()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  });

  it('never lets a wrong byte out', async () => {
    for (const store of [fast, slow]) store.fault = { atByte: UNIT_BYTES + 5, how: 'damage' };
    const { signal } = new AbortController();
    const range = { offsetBytes: 0, lengthBytes: SIZE };
    let got = 0;
    await expect(async () => {
      for await (const chunk of await readLocations(context, order(data), { image, data, range, signal }))
        got += chunk.length;
    }).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
    expect(got).toBe(UNIT_BYTES);
  });
});

describe('the map', () => {
  it('beside the copy serves when the first is gone or wrong', async () => {
    fast.objects.set(MAP_KEY, Buffer.alloc(MAP.bytes.length));
    fast.fault = { atByte: 3, how: 'damage' };
    expect(sha(await read())).toBe(sha(BYTES));
  });

  it('may be lost: the data is served as it is then', async () => {
    fast.objects.delete(MAP_KEY);
    slow.objects.delete(MAP_KEY);
    fast.fault = { atByte: UNIT_BYTES, how: 'error' };
    expect(sha(await read())).toBe(sha(BYTES));
  });
});

describe('data that the service did not store', () => {
  const mirrored: ImageData = { ...data, locations: [{ ...at('fast'), created: false }] };

  it('is not served unchecked while its map cannot be read, and no store is blamed', async () => {
    fast.objects.delete(MAP_KEY);
    await expect(read(0, 5, mirrored)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect([fast.reads, noted, context.failed.has('store fast')]).toEqual([0, [], false]);
    const copied: ImageData = { ...mirrored, locations: [...mirrored.locations, at('slow')] };
    slow.objects.delete(MAP_KEY);
    expect((await read(0, 5, copied)).equals(BYTES.subarray(0, 5))).toBe(true);
    expect([fast.reads, slow.reads]).toEqual([0, 1]);
  });

  it('is checked by the map that the caller has', async () => {
    fast.objects.delete(MAP_KEY);
    fast.fault = { atByte: 3, how: 'damage' };
    const range = { offsetBytes: 0, lengthBytes: SIZE };
    const wanted = { image, data: mirrored, range, signal: new AbortController().signal, map: mapOf(BYTES) };
    const drain = async (): Promise<void> => {
      for await (const chunk of await readLocations(context, order(mirrored), wanted)) expect(chunk).toBeUndefined();
    };
    await expect(drain()).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
  });

  it('is refused when it was found damaged and nothing tells good units from others', async () => {
    const unread: ImageData = { ...mirrored, fileMap: null };
    expect((await read(0, 5, unread)).equals(BYTES.subarray(0, 5))).toBe(true);
    const damaged: ImageData = { ...unread, locations: [{ ...at('fast'), created: false, damage: 'damaged' }] };
    await expect(read(0, 5, damaged)).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
    expect(fast.reads).toBe(1);
  });
});

describe('a read that breaks off', () => {
  it('goes on at the only location, as long as that gives more', async () => {
    const one: ImageData = { ...data, locations: [at('fast')] };
    fast.fault = { atByte: 2 * UNIT_BYTES + 5, how: 'error' };
    fast.mends = true;
    expect(sha(await read(0, SIZE, one))).toBe(sha(BYTES));
    expect(fast.reads).toBe(2);
    fast.mends = false;
    fast.fault = { atByte: 2 * UNIT_BYTES + 5, how: 'error' };
    await expect(read(0, SIZE, one)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    // From the start, and once more from the unit that does not come.
    expect(fast.reads).toBe(4);
  });

  it('does not go on with what may be another object: half of each would be neither', async () => {
    const unmapped = (created: boolean): ImageData => ({
      ...{ ...data, fileMap: null },
      locations: [
        { ...at('fast'), created: false },
        { ...at('slow'), created },
      ],
    });
    slow.objects.set(KEY, randomBytes(SIZE));
    for (const created of [false, true]) {
      fast.fault = { atByte: 2 * UNIT_BYTES + 5, how: 'error' };
      await expect(read(0, SIZE, unmapped(created))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
      nowMs += 61_000;
    }
    expect(slow.reads).toBe(0);
    // Of one that gave nothing yet any other will do.
    fast.fault = { atByte: 0, how: 'error' };
    expect(await read(0, 5, unmapped(false))).toHaveLength(5);
    expect(slow.reads).toBe(1);
  });
});

describe('a disk that hangs', () => {
  it('is left for another location, before the read and in the middle of it', async () => {
    const silent = (): Promise<never> => new Promise(() => undefined);
    fast.versionOf = silent;
    expect(sha(await read())).toBe(sha(BYTES));
    expect([fast.reads, slow.reads]).toEqual([0, 1]);
    nowMs += 61_000;
    let asked = 0;
    fast.versionOf = () => ((asked += 1) > 2 ? silent() : Promise.resolve('one'));
    expect(sha(await read())).toBe(sha(BYTES));
    expect([fast.reads, slow.reads]).toEqual([1, 2]);
  });
});

describe('a store that other nodes share', () => {
  const OTHER = asNodeId('other');
  const shared: ImageData = { ...data, locations: [{ ...at('slow'), nodeId: OTHER }] };
  let asked: string[];

  beforeEach(() => {
    slow.type = 'swift';
    asked = [];
    // The other node has the object as it was stored.
    const peers: PeerObjects = {
      open: ({ key }, { offsetBytes, lengthBytes }) => {
        asked.push(`${key} from ${offsetBytes}`);
        const bytes = key === KEY ? BYTES : Buffer.from(MAP.bytes);
        return Promise.resolve(once(bytes.subarray(offsetBytes, offsetBytes + lengthBytes)));
      },
    };
    context = { ...context, peers };
  });

  async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(bytes);
  }

  it('is read without the node that wrote into it', async () => {
    expect(sha(await read(0, SIZE, shared))).toBe(sha(BYTES));
    expect([slow.reads, asked]).toEqual([1, []]);
    expect(order({ ...shared, locations: [{ ...at('fast'), nodeId: OTHER }] }).map(wayName)).toEqual(['node in-fast']);
  });

  it.each(['stall', 'error', 'end', 'damage'] as const)(
    'is left for that node, which goes on at the unit, after a fault: %s',
    async (how) => {
      slow.fault = { atByte: 1_250_000, how };
      expect(sha(await read(0, SIZE, shared))).toBe(sha(BYTES));
      expect(asked).toEqual([`${KEY} from ${UNIT_BYTES}`]);
      expect(order(shared).map(({ through }) => through)).toEqual(['node', 'store']);
    },
  );

  it('of the same name only has not the object: the node has', async () => {
    slow.objects.set(KEY, BYTES.subarray(1));
    expect(sha(await read(0, SIZE, shared))).toBe(sha(BYTES));
    expect(asked).toEqual([`${KEY} from 0`]);
  });

  it('is told from a folder of that name on each node', () => {
    slow.type = 'file';
    expect(order(shared).map(({ through }) => through)).toEqual(['node']);
  });
});

describe('what is known of a store', () => {
  it('is that it gives no answer, until it does', async () => {
    fast.fault = { atByte: 5, how: 'stall' };
    await read();
    expect([context.failed.has('store fast'), context.failed.has('store slow')]).toEqual([true, false]);
    fast.fault = undefined;
    nowMs += 61_000;
    await read();
    expect(context.failed.has('store fast')).toBe(false);
    // Damage is of one object.
    fast.fault = { atByte: 5, how: 'damage' };
    await read();
    expect(context.failed.has('store fast')).toBe(false);
  });

  it('is how long it takes to the first unit', async () => {
    fast.delayMs = 640;
    await read();
    expect([context.latency.slowness('store fast'), context.latency.slowness('store slow')]).toEqual([7, 0]);
  });
});
