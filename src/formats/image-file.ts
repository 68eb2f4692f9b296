import { assert } from '../base/assert.js';

/** Reads bytes of a file; returns fewer at its end. */
export type ReadAt = (offsetBytes: number, lengthBytes: number) => Promise<Uint8Array>;

/** The most that is ever asked for in one read, and the length of `head`. */
export const MAX_READ_BYTES = 64 * 1024;
/** A VHD has its footer here; a fixed one has nothing else. */
const TAIL_BYTES = 512;

/** A file under inspection: its first 64 KiB and last 512 bytes are at hand, more is read on demand. */
export interface ImageFile {
  readonly sizeBytes: number;
  /** The first bytes, at most 64 KiB. */
  readonly head: Buffer;
  /** The last bytes, at most 512. */
  readonly tail: Buffer;
  /** Exactly these bytes, or undefined when the file does not have them all. At most 64 KiB. */
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer | undefined>;
}

/** Opens a file for inspection. */
export async function openImageFile(readAt: ReadAt, sizeBytes: number): Promise<ImageFile> {
  const read = async (offsetBytes: number, lengthBytes: number): Promise<Buffer | undefined> => {
    assert(lengthBytes <= MAX_READ_BYTES, `an inspector reads at most ${MAX_READ_BYTES} bytes, not ${lengthBytes}`);
    const inside = Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 && offsetBytes + lengthBytes <= sizeBytes;
    if (!inside) return undefined;
    const bytes = await readAt(offsetBytes, lengthBytes);
    return bytes.length === lengthBytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) : undefined;
  };
  const tailBytes = Math.min(TAIL_BYTES, sizeBytes);
  const none = Buffer.alloc(0);
  return {
    sizeBytes,
    head: (await read(0, Math.min(MAX_READ_BYTES, sizeBytes))) ?? none,
    tail: (await read(sizeBytes - tailBytes, tailBytes)) ?? none,
    read,
  };
}

/** Tells whether the bytes at the offset are this Latin-1 text. */
export function hasText(bytes: Buffer, offset: number, text: string): boolean {
  return bytes.toString('latin1', offset, offset + text.length) === text;
}

/** A big-endian number of 8 bytes; above 2^53 only its magnitude is right, which is enough to refuse it. */
export function uint64be(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64BE(offset));
}

/** A little-endian number of 8 bytes; see `uint64be`. */
export function uint64le(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64LE(offset));
}

/** Tells whether the number is a power of two from `min` to `max`. */
export function isPowerOfTwo(value: number, range: { readonly min: number; readonly max: number }): boolean {
  return value >= range.min && value <= range.max && Number.isInteger(Math.log2(value));
}
