import { createHash, randomBytes } from 'node:crypto';
import { blake3 } from '@napi-rs/blake-hash';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UNIT_BYTES } from '../base/units.js';
import { type FileMap, decodeFileMap, encodeFileMap, fileMapSizeBytes, unitCountOf, verifyUnit } from './file-map.js';

const digest = (unit: Uint8Array): Buffer => blake3(Buffer.from(unit));

function mapOf(bytes: Uint8Array): FileMap {
  const units = Array.from({ length: unitCountOf(bytes.length) }, (_, index) =>
    bytes.subarray(index * UNIT_BYTES, (index + 1) * UNIT_BYTES),
  );
  return {
    sizeBytes: bytes.length,
    unitDigests: Buffer.concat(units.map((unit) => digest(unit))),
    unitIsZero: Uint8Array.from(units, (unit) => (unit.every((byte) => byte === 0) ? 1 : 0)),
  };
}

/** Any map of at most 40 units; digests need not belong to data. */
const anyMap = fc
  .record({ objectSizeBytes: fc.nat(40 * UNIT_BYTES), seed: fc.uint8Array({ minLength: 1, maxLength: 8 }) })
  .map(({ objectSizeBytes, seed }): FileMap => {
    const unitCount = unitCountOf(objectSizeBytes);
    return {
      sizeBytes: objectSizeBytes,
      unitDigests: Uint8Array.from(
        { length: unitCount * 32 },
        (_, index) => (seed[index % seed.length] ?? 0) ^ (index & 255),
      ),
      unitIsZero: Uint8Array.from({ length: unitCount }, (_, index) => (seed[index % seed.length] ?? 0) & 1),
    };
  });

function withRightDigest(bytes: Buffer): Buffer {
  const body = bytes.subarray(0, bytes.length - 32);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

describe('file map', () => {
  test('decode(encode(map)) is the map', () => {
    fc.assert(
      fc.property(anyMap, (map) => {
        const { bytes, sha256 } = encodeFileMap(map);
        expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
        expect(bytes.length).toBe(fileMapSizeBytes(map.sizeBytes));
        const decoded = decodeFileMap(bytes);
        expect(decoded.sizeBytes).toBe(map.sizeBytes);
        expect(Buffer.compare(decoded.unitDigests, map.unitDigests)).toBe(0);
        expect(Buffer.compare(decoded.unitIsZero, map.unitIsZero)).toBe(0);
      }),
    );
  });

  test('every flipped bit and every cut is DATA_CORRUPT', () => {
    fc.assert(
      fc.property(anyMap, fc.nat(), fc.integer({ min: 0, max: 7 }), fc.nat(), (map, at, bit, cut) => {
        const bytes = Buffer.from(encodeFileMap(map).bytes);
        const flipped = Buffer.from(bytes);
        flipped[at % bytes.length] = (flipped[at % bytes.length] ?? 0) ^ (1 << bit);
        const corrupt = expect.objectContaining({ reason: 'DATA_CORRUPT' }) as Error;
        expect(() => decodeFileMap(flipped)).toThrow(corrupt);
        expect(() => decodeFileMap(bytes.subarray(0, cut % bytes.length))).toThrow(corrupt);
        expect(() => decodeFileMap(Buffer.concat([bytes, Buffer.alloc(1 + (cut % 64))]))).toThrow(corrupt);
      }),
    );
  });

  test('noise is DATA_CORRUPT', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        expect(() => decodeFileMap(noise)).toThrow(expect.objectContaining({ reason: 'DATA_CORRUPT' }) as Error);
      }),
    );
  });

  test.each([
    ['another version', (bytes: Buffer) => bytes.writeUInt32LE(2, 8), /version: expected 1, found 2/],
    ['an unknown algorithm', (bytes: Buffer) => bytes.writeUInt32LE(9, 12), /algorithm/],
    ['an absurd size', (bytes: Buffer) => bytes.writeBigUInt64LE(2n ** 63n, 16), /object size/],
    ['another unit size', (bytes: Buffer) => bytes.writeUInt32LE(4096, 24), /unit size/],
    ['a lying count', (bytes: Buffer) => bytes.writeUInt32LE(0xffffffff, 28), /unit count/],
    ['a size with the same count but none of ours', (bytes: Buffer) => bytes.writeBigUInt64LE(0n, 16), /unit count/],
    ['unused flag bits', (bytes: Buffer) => bytes.writeUInt8(0xff, bytes.length - 33), /unused flag bits/],
  ])('refuses %s even under a right digest', (_what, patch, message) => {
    const bytes = Buffer.from(encodeFileMap(mapOf(randomBytes(2 * UNIT_BYTES + 1))).bytes);
    patch(bytes);
    expect(() => decodeFileMap(withRightDigest(bytes))).toThrow(message);
  });

  test('refuses to encode what does not belong together', () => {
    const map = mapOf(randomBytes(10));
    expect(() => encodeFileMap({ ...map, sizeBytes: 2 * UNIT_BYTES }).bytes).toThrow(/expected 2 units/);
    expect(() => encodeFileMap({ ...map, sizeBytes: -1 }).bytes).toThrow(/has no map/);
    expect(() => encodeFileMap({ ...map, sizeBytes: 0.5 }).bytes).toThrow(/has no map/);
  });

  test('verifies units, the last short one too, and nothing else', () => {
    const bytes = Buffer.concat([randomBytes(UNIT_BYTES), Buffer.alloc(UNIT_BYTES), randomBytes(77)]);
    const map = decodeFileMap(encodeFileMap(mapOf(bytes)).bytes);
    expect([...map.unitIsZero]).toEqual([0, 1, 0]);
    for (const index of [0, 1, 2]) {
      const unit = Buffer.from(bytes.subarray(index * UNIT_BYTES, (index + 1) * UNIT_BYTES));
      expect(verifyUnit(map, index, unit, digest)).toBe(true);
      expect(verifyUnit(map, index, unit.subarray(1), digest)).toBe(false);
      unit[5] = (unit[5] ?? 0) ^ 1;
      expect(verifyUnit(map, index, unit, digest)).toBe(false);
    }
    expect(verifyUnit(map, 3, Buffer.alloc(0), digest)).toBe(false);
    expect(verifyUnit(map, -1, Buffer.alloc(0), digest)).toBe(false);
    expect(verifyUnit(map, 0.5, Buffer.alloc(0), digest)).toBe(false);
  });
});
