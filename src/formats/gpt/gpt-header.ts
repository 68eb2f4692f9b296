/**
 * A GUID partition table (UEFI specification, 5.3): a protective MBR, then a header in block 1. Little-endian, from the start
 * of the header: "EFI PART" at 0, header size at 12 (4), its own block at 24 (8), entries: first block at 72 (8), count at 80
 * (4), size of one at 84 (4). Blocks have 512 or 4 096 bytes.
 */
import { type ImageFile, hasText, isPowerOfTwo, uint64le } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const HEADER_BYTES = 92;
const MAX_ENTRY_BYTES = 4096;
const MAX_TABLE_BYTES = 4 * 1024 * 1024;

/** Recognises a partitioned disk; undefined for other content. A disk whose table makes no sense is not safe. */
export function inspectGpt(file: ImageFile): Inspection | undefined {
  const { head } = file;
  const blockBytes = [512, 4096].find((size) => hasText(head, size, 'EFI PART'));
  if (blockBytes === undefined || head.readUInt16LE(510) !== 0xaa55) return undefined;
  const verdict = new Verdict('gpt');
  const header = head.subarray(blockBytes);
  if (!verdict.expect(header.length >= HEADER_BYTES, 'the file ends inside the header')) {
    return verdict.close(file.sizeBytes);
  }
  const headerBytes = header.readUInt32LE(12);
  verdict.expect(
    headerBytes >= HEADER_BYTES && headerBytes <= blockBytes,
    `expected a header of 92 to ${blockBytes} bytes, found ${headerBytes}`,
  );
  const ownBlock = uint64le(header, 24);
  verdict.expect(ownBlock === 1, `expected the header to name block 1 as its own, found ${ownBlock}`);
  const firstBlock = uint64le(header, 72);
  verdict.expect(firstBlock >= 2, `expected the entries from block 2 on, found ${firstBlock}`);
  const count = header.readUInt32LE(80);
  const entryBytes = header.readUInt32LE(84);
  verdict.expect(
    isPowerOfTwo(entryBytes, { min: 128, max: MAX_ENTRY_BYTES }) && count * entryBytes <= MAX_TABLE_BYTES,
    `expected entries of 128 bytes or a multiple, found ${count} of ${entryBytes}`,
  );
  return verdict.close(file.sizeBytes);
}
