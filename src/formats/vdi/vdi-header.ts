/**
 * The header of VDI (VirtualBox, VDICore.h; QEMU, block/vdi.c). Little-endian.
 *
 *   offset  bytes  field
 *     0x40      4  signature 0xbeda107f
 *     0x44      4  version 0x00010001
 *     0x4c      4  type: 1 dynamic, 2 static, 3 undo, 4 differencing
 *    0x154      4  block map: offset
 *    0x158      4  data: offset
 *    0x168      4  sector size: 512
 *    0x170      8  virtual size
 *    0x178      4  block size
 *    0x180      4  block map: entries of 4 bytes
 *    0x184      4  blocks allocated
 *    0x1a8     16  uuid of the linked image; zero when none
 *    0x1b8     16  uuid of the parent; zero when none
 */
import { type ImageFile, isPowerOfTwo, uint64le } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const SIGNATURE = 0xbeda107f;
const HEADER_BYTES = 512;
const MAX_BLOCK_BYTES = 256 * 1024 * 1024;

/** Inspects a VDI header; undefined for other content. */
export function inspectVdi(file: ImageFile): Inspection | undefined {
  const { head, sizeBytes } = file;
  if (head.length < 0x44 || head.readUInt32LE(0x40) !== SIGNATURE) return undefined;
  const verdict = new Verdict('vdi');
  if (!verdict.expect(head.length >= HEADER_BYTES, `a header has ${HEADER_BYTES} bytes, the file ${head.length}`)) {
    return verdict.close(null);
  }
  const version = head.readUInt32LE(0x44);
  verdict.expect(version === 0x00010001, `expected version 0x10001, found 0x${version.toString(16)}`);
  const type = head.readUInt32LE(0x4c);
  verdict.expect(type === 1 || type === 2, `expected type 1 (dynamic) or 2 (static), found ${type}`);
  for (const [what, offset] of [
    ['link', 0x1a8],
    ['parent', 0x1b8],
  ] as const) {
    verdict.expect(
      head.subarray(offset, offset + 16).every((byte) => byte === 0),
      `it names a ${what} image`,
    );
  }
  const virtualSizeBytes = uint64le(head, 0x170);
  const blockBytes = head.readUInt32LE(0x178);
  const blockCount = head.readUInt32LE(0x180);
  const allocated = head.readUInt32LE(0x184);
  const mapOffset = head.readUInt32LE(0x154);
  verdict.expect(
    isPowerOfTwo(blockBytes, { min: 512, max: MAX_BLOCK_BYTES }),
    `expected a block size of 512 bytes to 256 MiB, found ${blockBytes}`,
  );
  verdict.expect(
    blockCount * blockBytes >= virtualSizeBytes,
    `${blockCount} blocks of ${blockBytes} bytes do not hold a disk of ${virtualSizeBytes}`,
  );
  verdict.expect(allocated <= blockCount, `${allocated} of ${blockCount} blocks are allocated`);
  verdict.expect(
    mapOffset >= HEADER_BYTES && mapOffset + blockCount * 4 <= sizeBytes,
    `a block map of ${blockCount} entries at offset ${mapOffset} passes the end of the file at ${sizeBytes}`,
  );
  const dataEnd = head.readUInt32LE(0x158) + allocated * blockBytes;
  verdict.expect(dataEnd <= sizeBytes, `${allocated} blocks need a file of ${dataEnd} bytes, found ${sizeBytes}`);
  return verdict.close(virtualSizeBytes);
}
