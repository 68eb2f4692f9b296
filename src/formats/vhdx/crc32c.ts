/** The remainders of every byte for the reflected Castagnoli polynomial (RFC 3720, appendix B.4). */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1;
  return remainder;
});

/** CRC-32C of the bytes, with the 4 bytes at `zeroAt` counted as zero: VHDX keeps the sum inside what it covers. */
export function crc32cWithout(bytes: Uint8Array, zeroAt: number): number {
  let crc = 0xffffffff;
  for (let index = 0; index < bytes.length; index++) {
    const byte = index >= zeroAt && index < zeroAt + 4 ? 0 : (bytes[index] ?? 0);
    crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
