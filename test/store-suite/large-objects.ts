/** What stores of several parts an object must do with objects larger than one part. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { asObjectKey, type ObjectKey } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import type { StoreUnderTest } from './store-suite.js';

export function keyOf(text: string): ObjectKey {
  const key = asObjectKey(text);
  if (key === undefined) throw new Error(`not a key: ${text}`);
  return key;
}

/** Bytes that are told apart by where they are, without keeping them. */
const pattern = randomBytes(3 * MIB + 17);

async function* stream(sizeBytes: number, chunkBytes = MIB): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += chunkBytes)
    yield await Promise.resolve(bytesAt(at, Math.min(at + chunkBytes, sizeBytes)));
}

function bytesAt(start: number, end: number): Buffer {
  const bytes = Buffer.alloc(end - start);
  for (let at = start; at < end; ) {
    const from = at % pattern.length;
    const length = Math.min(end - at, pattern.length - from);
    pattern.copy(bytes, at - start, from, from + length);
    at += length;
  }
  return bytes;
}

export function largeObjects(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`large objects: ${name}`, () => {
    test.each([8 * MIB, 8 * MIB + 1, 16 * MIB, 33 * MIB + 7])('keeps %i bytes of unknown size', async (sizeBytes) => {
      const { store, leftovers } = await make();
      const key = keyOf('image/data');
      const signal = new AbortController().signal;
      expect(await store.put(key, stream(sizeBytes), { signal })).toEqual({ sizeBytes });
      expect(await store.stat(key)).toEqual({ sizeBytes });
      for (const [offsetBytes, lengthBytes] of [
        [0, sizeBytes],
        [8 * MIB - 5, 5],
        [sizeBytes - 3, 3],
        [1, Math.min(sizeBytes - 2, 12 * MIB)],
      ] as const) {
        const hash = createHash('sha256');
        for await (const chunk of store.read(key, { offsetBytes, lengthBytes }, {})) hash.update(chunk);
        const expected = createHash('sha256')
          .update(bytesAt(offsetBytes, offsetBytes + lengthBytes))
          .digest('hex');
        expect(hash.digest('hex')).toBe(expected);
      }
      await expect(store.put(key, stream(9 * MIB), { signal })).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
      expect(await leftovers()).toEqual([]);
      expect(await store.delete(key)).toBe(true);
      expect(await store.stat(key)).toBeUndefined();
      expect(await leftovers()).toEqual([]);
    });

    test('leaves nothing of a large object whose source fails', async () => {
      const { store, leftovers } = await make();
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield* stream(20 * MIB);
        throw new Error('the source broke');
      }
      const putting = store.put(keyOf('broken'), broken(), { signal: new AbortController().signal });
      await expect(putting).rejects.toThrow('the source broke');
      expect(await store.stat(keyOf('broken'))).toBeUndefined();
      expect(await leftovers()).toEqual([]);
    });
  });
}

/** Begins a put that sends one part and then goes on for ever, as one of a process that is killed. */
export function beginPut(store: ImageStore, name: string): void {
  async function* silent(): AsyncGenerator<Uint8Array> {
    yield* stream(8 * MIB);
    yield Buffer.from('more');
    await new Promise(() => undefined);
  }
  void store.put(keyOf(name), silent(), { signal: new AbortController().signal });
}
