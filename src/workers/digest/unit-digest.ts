import { blake3 } from '@napi-rs/blake-hash';

/** BLAKE3 of a unit, in the thread that asks: 1 MiB takes a quarter of a millisecond. */
export function unitDigest(unit: Uint8Array): Uint8Array {
  return blake3(Buffer.from(unit.buffer, unit.byteOffset, unit.length));
}
