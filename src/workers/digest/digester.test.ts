import { createHash, randomBytes } from 'node:crypto';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { MIB, UNIT_BYTES } from '../../base/units.js';
import { createDigester } from './digester.js';

const digester = createDigester();
afterAll(() => digester.close());

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  // One buffer for all chunks: a chunk must not be read after the next one was asked for.
  const shared = new Uint8Array(bytes.length);
  let offset = 0;
  for (let turn = 0; offset < bytes.length; turn++) {
    const length = Math.max(1, cuts[turn % cuts.length] ?? 1);
    const part = bytes.subarray(offset, offset + length);
    await Promise.resolve();
    shared.fill(0xee);
    shared.set(part);
    yield shared.subarray(0, part.length);
    offset += part.length;
  }
}

function hex(algorithm: string, bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

async function digestAll(bytes: Uint8Array, cuts: readonly number[], algorithm = 'sha512') {
  const session = digester.open(algorithm);
  const units: Buffer[] = [];
  for await (const unit of session.units(pieces(bytes, cuts))) units.push(Buffer.from(unit));
  return { units, digests: await session.finish() };
}

function expectRight(bytes: Uint8Array, result: Awaited<ReturnType<typeof digestAll>>, algorithm = 'sha512'): void {
  const { units, digests } = result;
  expect(Buffer.concat(units).equals(bytes)).toBe(true);
  expect(units.slice(0, -1).every((unit) => unit.length === UNIT_BYTES)).toBe(true);
  expect(digests.sizeBytes).toBe(bytes.length);
  expect(digests.checksum).toBe(hex('md5', bytes));
  expect(digests.osHashValue).toBe(hex(algorithm, bytes));
  expect(digests.unitIsZero.length).toBe(Math.ceil(bytes.length / UNIT_BYTES));
  expect(digests.unitDigests.length).toBe(digests.unitIsZero.length * 32);
  for (let index = 0; index < digests.unitIsZero.length; index++) {
    const unit = bytes.subarray(index * UNIT_BYTES, (index + 1) * UNIT_BYTES);
    expect(Buffer.from(digests.unitDigests.subarray(index * 32, (index + 1) * 32)).toString('hex')).toBe(
      blake3(Buffer.from(unit)).toString('hex'),
    );
    expect(digests.unitIsZero[index]).toBe(unit.every((byte) => byte === 0) ? 1 : 0);
  }
}

describe('digester', () => {
  test('digests an empty stream', async () => {
    expectRight(new Uint8Array(0), await digestAll(new Uint8Array(0), [1]));
  });

  test.each([1, UNIT_BYTES - 1, UNIT_BYTES, UNIT_BYTES + 1, 9 * UNIT_BYTES])('digests %i bytes', async (sizeBytes) => {
    const bytes = randomBytes(sizeBytes);
    expectRight(bytes, await digestAll(bytes, [65536, 3 * MIB, 7]));
  });

  test('flags zero units, the last short one too', async () => {
    const bytes = new Uint8Array(5 * UNIT_BYTES + 10);
    bytes[3 * UNIT_BYTES - 1] = 1;
    const result = await digestAll(bytes, [1_000_003]);
    expectRight(bytes, result);
    expect([...result.digests.unitIsZero]).toEqual([1, 1, 0, 1, 1, 1]);
  });

  test.each(['md5', 'sha1', 'sha256', 'blake2b512', 'sha3-256'])('knows %s', async (algorithm) => {
    const bytes = randomBytes(2 * MIB + 5);
    expectRight(bytes, await digestAll(bytes, [MIB], algorithm), algorithm);
  });

  test.each(['', 'crc32', 'SHA-999', '__proto__'])('refuses the algorithm %j', (algorithm) => {
    expect(() => digester.open(algorithm)).toThrow(expect.objectContaining({ reason: 'INVALID_ARGUMENT' }) as Error);
  });

  test('cuts any chunks into the same units', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 3 * UNIT_BYTES }),
        fc.array(fc.integer({ min: 1000, max: 2 * UNIT_BYTES }), { minLength: 1, maxLength: 5 }),
        async (sizeBytes, cuts) => {
          const bytes = randomBytes(sizeBytes);
          expectRight(bytes, await digestAll(bytes, cuts));
        },
      ),
      { numRuns: 15 },
    );
  });

  test('keeps many sessions apart', async () => {
    const inputs = Array.from({ length: 40 }, (_, index) => randomBytes(index * 100_000));
    const results = await Promise.all(inputs.map((bytes) => digestAll(bytes, [70_000])));
    for (const [index, bytes] of inputs.entries()) {
      const result = results[index];
      expect(result).toBeDefined();
      if (result !== undefined) expectRight(bytes, result);
    }
  });

  test('pulls no more than four units ahead of a consumer that has stopped', async () => {
    const session = digester.open('sha256');
    let pulled = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        pulled++;
        yield await Promise.resolve(new Uint8Array(UNIT_BYTES));
      }
    }
    const units = session.units(endless())[Symbol.asyncIterator]();
    await units.next();
    await units.next();
    expect(pulled).toBeLessThanOrEqual(4);
    await units.return?.();
    session.abort();
  });

  test('passes on the error of a source and can be aborted after it', async () => {
    const session = digester.open('sha256');
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(new Uint8Array(3 * MIB));
      throw new Error('the source broke');
    }
    await expect(drain(session.units(broken()))).rejects.toThrow('the source broke');
    session.abort();
    session.abort();
    await expect(session.finish()).rejects.toMatchObject({ reason: 'CANCELLED' });
  });

  test('abort while streaming ends the stream and leaves the other sessions alone', async () => {
    const session = digester.open('sha512');
    const bytes = randomBytes(4 * MIB);
    const other = digestAll(bytes, [MIB]);
    const consume = async (): Promise<void> => {
      for await (const unit of session.units(pieces(new Uint8Array(8 * MIB), [MIB]))) {
        expect(unit.length).toBe(UNIT_BYTES);
        session.abort();
      }
    };
    await expect(consume()).rejects.toMatchObject({ reason: 'CANCELLED' });
    expectRight(bytes, await other);
  });

  test('close fails what is running and refuses what comes', async () => {
    const closing = createDigester();
    const session = closing.open('sha256');
    const units = session.units(pieces(new Uint8Array(2 * MIB), [MIB]))[Symbol.asyncIterator]();
    await units.next();
    await closing.close();
    await expect(units.next()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(() => closing.open('sha256')).toThrow(expect.objectContaining({ reason: 'UNAVAILABLE' }) as Error);
  });
});

async function drain(units: AsyncIterable<Uint8Array>): Promise<number> {
  let sizeBytes = 0;
  for await (const unit of units) sizeBytes += unit.length;
  return sizeBytes;
}
