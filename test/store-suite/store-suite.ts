/** What every store must do, whatever it stands on; run by each implementation with its own `make`. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ByteRange, ImageStore } from '../../src/application/ports/image-store.js';
import { type ObjectKey, asObjectKey } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';

/** A store made for one test. */
export interface StoreUnderTest {
  readonly store: ImageStore;
  /** Names of whatever lies in the store beside published objects. */
  readonly leftovers: () => Promise<readonly string[]>;
  dispose(): Promise<void>;
}

/** A store with a way to put objects there that need not be its own. */
export interface Filled {
  readonly store: ImageStore;
  /** The key of no object. */
  readonly missing: ObjectKey;
  place(name: string, bytes: Buffer): Promise<ObjectKey>;
  remove(key: ObjectKey): Promise<unknown>;
}

/** Defines what holds for a store that is only read; `make` returns a new, empty one. */
export function readOnlySuite(name: string, make: () => Promise<Filled & { dispose(): Promise<void> }>): void {
  describe(`store suite, read-only: ${name}`, () => {
    let made: Awaited<ReturnType<typeof make>>;
    beforeEach(async () => {
      made = await make();
    });
    afterEach(() => made.dispose());

    reading(() => made);
    test('refuses to store and to remove: NOT_IMPLEMENTED', async () => {
      const at = await made.place('kept', Buffer.from('kept'));
      const writing = made.store.put(at, pieces(Buffer.from('x'), [1]), { signal: never() });
      await expect(writing).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED' });
      await expect(made.store.delete(at)).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED' });
      expect(await made.store.stat(at)).toEqual({ sizeBytes: 4 });
      expect(await made.store.capacity()).toBeUndefined();
      await made.store.check();
    });
  });
}

/** Defines the suite; `make` returns a new, empty store. */
export function storeSuite(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`store suite: ${name}`, () => {
    let made: StoreUnderTest;
    let store: ImageStore;
    beforeEach(async () => {
      made = await make();
      store = made.store;
    });
    afterEach(async () => {
      expect(await made.leftovers()).toEqual([]);
      await made.dispose();
    });

    writing(() => store);
    failing(() => store);
    reading(() => ({
      ...{ store, missing: key('nothing/here'), remove: (at) => store.delete(at) },
      place: async (name, bytes) => {
        await put(store, name, bytes);
        return key(name);
      },
    }));
    managing(() => store);
  });
}

function writing(current: () => ImageStore): void {
  test.each([0, 1, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 4 * MIB])('keeps %i bytes as they are', async (size) => {
    const bytes = randomBytes(size);
    expect(await put(current(), 'image/data', bytes)).toEqual({ sizeBytes: size });
    expect((await readAll(current(), 'image/data')).equals(bytes)).toBe(true);
    expect(await current().stat(key('image/data'))).toEqual({ sizeBytes: size });
  });

  test('keeps zeros at the start, in the middle and at the end', async () => {
    const bytes = Buffer.alloc(5 * MIB + 12345);
    bytes.write('start', 65536 - 2);
    bytes.write('middle', 3 * MIB + 17);
    await put(current(), 'sparse', bytes, [MIB]);
    expect(Buffer.compare(await readAll(current(), 'sparse'), bytes)).toBe(0);
    await put(current(), 'all-zero', Buffer.alloc(2 * MIB + 1), [100_000]);
    expect((await readAll(current(), 'all-zero')).equals(Buffer.alloc(2 * MIB + 1))).toBe(true);
  });

  test('keeps any bytes in any chunks', async () => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            zero: fc.boolean(),
            lengthBytes: fc.oneof(fc.integer({ min: 1, max: 300_000 }), fc.constant(65536)),
          }),
          { maxLength: 12 },
        ),
        fc.array(fc.oneof(fc.integer({ min: 1000, max: 400_000 }), fc.constant(65536)), { minLength: 1, maxLength: 4 }),
        async (runs, cuts) => {
          const bytes = Buffer.concat(
            runs.map((run) => (run.zero ? Buffer.alloc(run.lengthBytes) : randomBytes(run.lengthBytes))),
          );
          const name = `property/${round++}`;
          await put(current(), name, bytes, cuts);
          expect(Buffer.compare(await readAll(current(), name), bytes)).toBe(0);
        },
      ),
      { numRuns: 25 },
    );
  });

  test('does not read a chunk after the next one was asked for', async () => {
    const chunk = Buffer.alloc(100_000);
    async function* reusing(): AsyncGenerator<Uint8Array> {
      for (let turn = 1; turn <= 10; turn++) {
        chunk.fill(turn);
        yield await Promise.resolve(chunk);
      }
    }
    await current().put(key('reused'), reusing(), { signal: never() });
    const bytes = await readAll(current(), 'reused');
    for (let turn = 1; turn <= 10; turn++) expect(bytes[turn * 100_000 - 1]).toBe(turn);
  });

  test('tells keys apart that look alike', async () => {
    const names = ['a/b', 'a-b', 'a_b', 'a', 'A', 'a/B', 'a.b', 'x'.repeat(255), `${'y/'.repeat(127)}y`];
    for (const name of names) await put(current(), name, Buffer.from(name));
    for (const name of names) expect((await readAll(current(), name)).toString()).toBe(name);
  });

  test('takes many objects at once', async () => {
    const inputs = Array.from({ length: 24 }, (_, index) => randomBytes(index * 50_000));
    await Promise.all(inputs.map((bytes, index) => put(current(), `many/${index}`, bytes)));
    const outputs = await Promise.all(inputs.map((_, index) => readAll(current(), `many/${index}`)));
    for (const [index, bytes] of inputs.entries()) expect(outputs[index]?.equals(bytes)).toBe(true);
  });
}

function failing(current: () => ImageStore): void {
  test('never replaces an object: ALREADY_EXISTS', async () => {
    await put(current(), 'taken', Buffer.from('first'));
    await expect(put(current(), 'taken', Buffer.from('second'))).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
    expect((await readAll(current(), 'taken')).toString()).toBe('first');
  });

  test('lets one of several puts of the same key win, whole', async () => {
    const inputs = Array.from({ length: 6 }, () => randomBytes(300_000));
    const results = await Promise.allSettled(inputs.map((bytes) => put(current(), 'race', bytes)));
    const winners = inputs.filter((_, index) => results[index]?.status === 'fulfilled');
    expect(winners.length).toBe(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ reason: 'ALREADY_EXISTS' });
    }
    expect(winners[0]?.equals(await readAll(current(), 'race'))).toBe(true);
  });

  test('leaves nothing when the source fails, and passes on its error', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(randomBytes(2 * MIB));
      throw new Error('the source broke');
    }
    await expect(current().put(key('broken'), broken(), { signal: never() })).rejects.toThrow('the source broke');
    expect(await current().stat(key('broken'))).toBeUndefined();
    await put(current(), 'broken', Buffer.from('now'));
    expect((await readAll(current(), 'broken')).toString()).toBe('now');
  });

  test('an abort ends a put whose source is silent, with the reason of the signal', async () => {
    const controller = new AbortController();
    let closed = false;
    const source = {
      [Symbol.asyncIterator]() {
        let sent = false;
        return {
          next(): Promise<IteratorResult<Uint8Array>> {
            if (!sent) {
              sent = true;
              return Promise.resolve({ done: false, value: randomBytes(100) });
            }
            setImmediate(() => controller.abort(new Error('the caller left')));
            return new Promise(() => undefined);
          },
          return(): Promise<IteratorResult<Uint8Array>> {
            closed = true;
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    };
    await expect(current().put(key('gone'), source, { signal: controller.signal })).rejects.toThrow('the caller left');
    expect(closed).toBe(true);
    expect(await current().stat(key('gone'))).toBeUndefined();
  });

  test('an aborted signal refuses a put before the source is touched', async () => {
    let touched = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      touched = true;
      yield await Promise.resolve(Buffer.from('x'));
    }
    const signal = AbortSignal.abort(new Error('too late'));
    await expect(current().put(key('late'), source(), { signal })).rejects.toThrow('too late');
    expect(touched).toBe(false);
  });

  test('refuses early what cannot fit: LIMIT_EXCEEDED', async () => {
    const capacity = await current().capacity();
    if (capacity === undefined) return;
    const { freeBytes } = capacity;
    let touched = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      touched = true;
      yield await Promise.resolve(Buffer.from('x'));
    }
    await expect(
      current().put(key('huge'), source(), { signal: never(), expectedSizeBytes: freeBytes * 2 + MIB }),
    ).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    expect(touched).toBe(false);
  });
}

function reading(current: () => Filled): void {
  const read = (at: ObjectKey, range: ByteRange, signal?: AbortSignal) =>
    current().store.read(at, range, signal === undefined ? {} : { signal });

  test('reads any range', async () => {
    const bytes = randomBytes(5 * MIB + 321);
    const at = await current().place('ranges', bytes);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), fc.nat(bytes.length), async (one, other) => {
        const offsetBytes = Math.min(one, other);
        const lengthBytes = Math.max(one, other) - offsetBytes;
        const part = await collect(read(at, { offsetBytes, lengthBytes }));
        expect(part.equals(bytes.subarray(offsetBytes, offsetBytes + lengthBytes))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('gives chunks of at most 1 MiB', async () => {
    const at = await current().place('chunks', Buffer.alloc(3 * MIB + 5, 1));
    for await (const chunk of read(at, { offsetBytes: 3, lengthBytes: 3 * MIB })) {
      expect(chunk.length).toBeGreaterThan(0);
      expect(chunk.length).toBeLessThanOrEqual(MIB);
    }
  });

  test.each([
    [-1, 1],
    [0, 11],
    [10, 1],
    [11, 0],
    [0.5, 1],
    [Number.MAX_SAFE_INTEGER, 1],
    [0, Number.NaN],
  ])('refuses %d, %d of ten bytes: RANGE_INVALID', async (offsetBytes, lengthBytes) => {
    const at = await current().place('ten', Buffer.alloc(10));
    await expect(collect(read(at, { offsetBytes, lengthBytes }))).rejects.toMatchObject({
      reason: 'RANGE_INVALID',
    });
  });

  test('answers NOT_FOUND for an unknown key', async () => {
    const reading = collect(read(current().missing, { offsetBytes: 0, lengthBytes: 0 }));
    await expect(reading).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    expect(await current().store.stat(current().missing)).toBeUndefined();
  });

  test('a reader may stop early, and many read at once', async () => {
    const bytes = randomBytes(6 * MIB);
    const at = await current().place('shared', bytes);
    const all = { offsetBytes: 0, lengthBytes: bytes.length };
    const readers = Array.from({ length: 12 }, async (_, index) => {
      let sizeBytes = 0;
      for await (const chunk of read(at, all)) {
        expect(Buffer.compare(chunk, bytes.subarray(sizeBytes, sizeBytes + chunk.length))).toBe(0);
        sizeBytes += chunk.length;
        if (sizeBytes > index * MIB) return;
      }
    });
    await Promise.all(readers);
  });

  test('an abort ends a read with the reason of the signal', async () => {
    const at = await current().place('long', randomBytes(6 * MIB));
    const controller = new AbortController();
    const consume = async (): Promise<void> => {
      const range = { offsetBytes: 0, lengthBytes: 6 * MIB };
      for await (const chunk of read(at, range, controller.signal)) {
        expect(chunk.length).toBeGreaterThan(0);
        controller.abort(new Error('enough'));
      }
    };
    await expect(consume()).rejects.toThrow('enough');
  });

  test('a reader keeps what it opened when the object is deleted meanwhile', async () => {
    const bytes = randomBytes(8 * MIB);
    const at = await current().place('vanishing', bytes);
    const parts: Buffer[] = [];
    for await (const chunk of read(at, { offsetBytes: 0, lengthBytes: bytes.length })) {
      if (parts.length === 0) await current().remove(at);
      parts.push(Buffer.from(chunk));
    }
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  });
}

function managing(current: () => ImageStore): void {
  test('deletes once, and the key is free again', async () => {
    await put(current(), 'again', Buffer.from('one'));
    expect(await current().delete(key('again'))).toBe(true);
    expect(await current().delete(key('again'))).toBe(false);
    expect(await current().stat(key('again'))).toBeUndefined();
    await put(current(), 'again', Buffer.from('two'));
    expect((await readAll(current(), 'again')).toString()).toBe('two');
  });

  test('states its capacity, if it has one, and that it works', async () => {
    const capacity = await current().capacity();
    if (capacity !== undefined) {
      expect(capacity.freeBytes).toBeGreaterThan(0);
      expect(capacity.totalBytes).toBeGreaterThanOrEqual(capacity.freeBytes);
    }
    await current().check();
  });

  test('names each object by a URL of its own', () => {
    const urls = ['a/b', 'a-b', 'a'].map((name) => current().url(key(name)));
    expect(new Set(urls).size).toBe(3);
    for (const url of urls) expect(URL.canParse(url)).toBe(true);
  });
}

function never(): AbortSignal {
  return new AbortController().signal;
}

function key(text: string): ObjectKey {
  const parsed = asObjectKey(text);
  if (parsed === undefined) throw new Error(`not a key: ${text}`);
  return parsed;
}

function put(store: ImageStore, name: string, bytes: Buffer, cuts: readonly number[] = [65536]) {
  return store.put(key(name), pieces(bytes, cuts), { signal: never(), expectedSizeBytes: bytes.length });
}

async function* pieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
    const end = offset + (cuts[turn % cuts.length] ?? MIB);
    yield await Promise.resolve(bytes.subarray(offset, end));
    offset = end;
  }
}

async function readAll(store: ImageStore, name: string): Promise<Buffer> {
  const found = await store.stat(key(name));
  if (found === undefined) throw new Error(`no object ${name}`);
  return collect(store.read(key(name), { offsetBytes: 0, lengthBytes: found.sizeBytes }, {}));
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}
