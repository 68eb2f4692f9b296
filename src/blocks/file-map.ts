/**
 * The map of a file: a digest of every unit, so that any range can be verified before it leaves (DESIGN §5, "Maps").
 * Integers are little-endian; lengths in bytes.
 *
 *   offset          length      field
 *        0               8      magic, "ORLFMAP" and a zero byte
 *        8               4      version: 1
 *       12               4      digest algorithm of the units: 1 = BLAKE3
 *       16               8      object size
 *       24               4      unit size: 1 048 576
 *       28               4      unit count: object size / unit size, rounded up
 *       32      32 x count      digest of each unit, in order; the last unit may be shorter
 *        …    count/8 up        one bit a unit, lowest bit first: 1 = all zero; unused bits are 0
 *        …              32      SHA-256 of all before
 *
 * The layout follows from the size alone, so that one object has one map: maps of equal objects are equal bytes.
 */
import { createHash } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';

const MAGIC = Buffer.from('ORLFMAP\0', 'latin1');
const VERSION = 1;
const ALGORITHM_BLAKE3 = 1;
const HEADER_BYTES = 32;
const DIGEST_BYTES = 32;
/** Objects above 1 PiB are refused: their maps would not fit into one buffer. */
const MAX_OBJECT_BYTES = 2 ** 50;

/** A map in memory. */
export interface FileMap {
  /** Size of the object. */
  readonly sizeBytes: number;
  /** BLAKE3 of each unit of 1 MiB, 32 bytes each, in order. */
  readonly unitDigests: Uint8Array;
  /** One byte a unit: 1 when the unit is all zero. */
  readonly unitIsZero: Uint8Array;
}

/** Number of units of an object. */
export function unitCountOf(objectSizeBytes: number): number {
  return Math.ceil(objectSizeBytes / UNIT_BYTES);
}

/** Bytes of the map of an object of this size. */
export function fileMapSizeBytes(objectSizeBytes: number): number {
  const unitCount = unitCountOf(objectSizeBytes);
  return HEADER_BYTES + unitCount * DIGEST_BYTES + Math.ceil(unitCount / 8) + DIGEST_BYTES;
}

/** A map as an object of a store. */
export interface EncodedFileMap {
  readonly bytes: Uint8Array;
  /** SHA-256 of `bytes`, lower-case hex: what the catalog pins. */
  readonly sha256: string;
}

/** Returns the bytes of a map. INTERNAL when the digests and flags do not fit the size. */
export function encodeFileMap(map: FileMap): EncodedFileMap {
  const { sizeBytes: objectSizeBytes, unitDigests, unitIsZero } = map;
  const unitCount = unitCountOf(objectSizeBytes);
  if (!isObjectSize(objectSizeBytes)) {
    throw new ServiceError('INTERNAL', `file map: an object of ${objectSizeBytes} bytes has no map`);
  }
  if (unitDigests.length !== unitCount * DIGEST_BYTES || unitIsZero.length !== unitCount) {
    throw new ServiceError(
      'INTERNAL',
      `file map: expected ${unitCount} units, found ${unitDigests.length} bytes of digests and ${unitIsZero.length} flags`,
    );
  }
  const bytes = Buffer.alloc(fileMapSizeBytes(objectSizeBytes));
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(ALGORITHM_BLAKE3, 12);
  bytes.writeBigUInt64LE(BigInt(objectSizeBytes), 16);
  bytes.writeUInt32LE(UNIT_BYTES, 24);
  bytes.writeUInt32LE(unitCount, 28);
  bytes.set(unitDigests, HEADER_BYTES);
  const flags = bytes.subarray(HEADER_BYTES + unitDigests.length, bytes.length - DIGEST_BYTES);
  for (let unitIndex = 0; unitIndex < unitCount; unitIndex++) {
    const flag = unitIsZero[unitIndex] === 1 ? 1 << (unitIndex % 8) : 0;
    flags[unitIndex >> 3] = (flags[unitIndex >> 3] ?? 0) | flag;
  }
  sha256(bytes.subarray(0, bytes.length - DIGEST_BYTES)).copy(bytes, bytes.length - DIGEST_BYTES);
  return { bytes, sha256: sha256(bytes).toString('hex') };
}

/**
 * Reads a map. DATA_CORRUPT, saying what was expected, for anything that `encodeFileMap` would not have written. The result
 * shares memory with the bytes.
 */
export function decodeFileMap(bytes: Uint8Array): FileMap {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const { objectSizeBytes, unitCount } = decodeHeader(source);
  expectEqual('length', fileMapSizeBytes(objectSizeBytes), source.length);
  const body = source.subarray(0, source.length - DIGEST_BYTES);
  if (!sha256(body).equals(source.subarray(body.length))) throw corrupt('its digest does not match its content');

  const digestsEnd = HEADER_BYTES + unitCount * DIGEST_BYTES;
  const flags = body.subarray(digestsEnd);
  const unitIsZero = new Uint8Array(unitCount);
  for (let unitIndex = 0; unitIndex < unitCount; unitIndex++) {
    unitIsZero[unitIndex] = ((flags[unitIndex >> 3] ?? 0) >> (unitIndex % 8)) & 1;
  }
  const unusedBits = unitCount % 8 === 0 ? 0 : (flags[flags.length - 1] ?? 0) >> (unitCount % 8);
  expectEqual('unused flag bits', 0, unusedBits);
  return { sizeBytes: objectSizeBytes, unitDigests: source.subarray(HEADER_BYTES, digestsEnd), unitIsZero };
}

/**
 * Tells whether these are the bytes of the unit: right length, right digest. False for a unit that the map has not.
 * `digest` is BLAKE3, handed in because it is native code.
 */
export function verifyUnit(
  map: FileMap,
  unitIndex: number,
  bytes: Uint8Array,
  digest: (unit: Uint8Array) => Uint8Array,
): boolean {
  if (!Number.isInteger(unitIndex) || unitIndex < 0 || unitIndex >= map.unitIsZero.length) return false;
  const lengthBytes = Math.min(UNIT_BYTES, map.sizeBytes - unitIndex * UNIT_BYTES);
  if (bytes.length !== lengthBytes) return false;
  return Buffer.compare(digest(bytes), digestOfUnit(map, unitIndex)) === 0;
}

/** BLAKE3 of a unit that the map has. */
export function digestOfUnit(map: FileMap, unitIndex: number): Uint8Array {
  return map.unitDigests.subarray(unitIndex * DIGEST_BYTES, (unitIndex + 1) * DIGEST_BYTES);
}

function decodeHeader(source: Buffer): { objectSizeBytes: number; unitCount: number } {
  if (source.length < HEADER_BYTES) throw corrupt(`expected at least ${HEADER_BYTES} bytes, found ${source.length}`);
  if (!source.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt('it does not start with the magic of a file map');
  expectEqual('version', VERSION, source.readUInt32LE(8));
  expectEqual('digest algorithm', ALGORITHM_BLAKE3, source.readUInt32LE(12));
  const objectSizeBytes = Number(source.readBigUInt64LE(16));
  if (!isObjectSize(objectSizeBytes)) throw corrupt(`object size ${objectSizeBytes} is above ${MAX_OBJECT_BYTES}`);
  expectEqual('unit size', UNIT_BYTES, source.readUInt32LE(24));
  const unitCount = source.readUInt32LE(28);
  expectEqual('unit count', unitCountOf(objectSizeBytes), unitCount);
  return { objectSizeBytes, unitCount };
}

function isObjectSize(sizeBytes: number): boolean {
  return Number.isInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes <= MAX_OBJECT_BYTES;
}

function expectEqual(what: string, expected: number, found: number): void {
  if (found !== expected) throw corrupt(`${what}: expected ${expected}, found ${found}`);
}

function corrupt(what: string): ServiceError {
  return new ServiceError('DATA_CORRUPT', `file map: ${what}`);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
