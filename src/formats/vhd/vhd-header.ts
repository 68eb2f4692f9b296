/**
 * VHD (Virtual Hard Disk Image Format Specification 1.0). Big-endian. The footer lies in the last 512 bytes; a dynamic or
 * differencing disk has a copy of it at 0.
 *
 *   footer: "conectix" at 0, offset of the dynamic header at 16 (8), creator at 28 (4), size at 48 (8), geometry at 56:
 *     cylinders (2), heads (1), sectors (1); type at 60 (4): 2 fixed, 3 dynamic, 4 differencing; checksum at 64 (4)
 *   dynamic header, 1 024 bytes: "cxsparse" at 0, block table's offset at 16 (8), its entries of 4 bytes at 28 (4),
 *     block size at 32 (4), checksum at 36 (4), uuid of the parent at 40 (16)
 */
import { type ImageFile, hasText, isPowerOfTwo, uint64be } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const FOOTER_BYTES = 512;
const DYNAMIC_HEADER_BYTES = 1024;
const MAX_BLOCK_BYTES = 256 * 1024 * 1024;
/** Creators whose size field is right; for others the geometry decides, as QEMU has it (block/vpc.c, "vpc_open"). */
const SIZE_CREATORS: readonly string[] = ['win ', 'qem2', 'd2v ', 'tap\0', 'CTXS', 'wa\0\0'];
/** The largest disk that a geometry can state, in sectors; above it the size field decides. */
const MAX_GEOMETRY_SECTORS = 65535 * 16 * 255;

/** Inspects the footer and the dynamic header of a VHD; undefined for other content. */
export async function inspectVhd(file: ImageFile): Promise<Inspection | undefined> {
  const { head, tail } = file;
  const atStart = head.length >= FOOTER_BYTES && hasText(head, 0, 'conectix');
  const atEnd = tail.length === FOOTER_BYTES && hasText(tail, 0, 'conectix');
  if (!atStart && !atEnd) return undefined;
  const verdict = new Verdict('vhd');
  const footer = atStart ? head.subarray(0, FOOTER_BYTES) : tail;
  checkSum(verdict, footer, { at: 64, what: 'footer' });
  const type = footer.readUInt32BE(60);
  const virtualSizeBytes = virtualSizeOf(footer);
  verdict.expect(type === 2 || type === 3, `expected type 2 (fixed) or 3 (dynamic), found ${type}`);
  verdict.expect(atEnd, 'the file does not end with a footer');
  verdict.expect(atStart === (type !== 2), 'only a disk that is not fixed has a copy of the footer at its start');
  if (type === 2) {
    const roomBytes = file.sizeBytes - FOOTER_BYTES;
    verdict.expect(virtualSizeBytes <= roomBytes, `a fixed disk of ${virtualSizeBytes} bytes is in ${roomBytes}`);
  } else {
    await checkDynamicHeader(verdict, file, { offset: uint64be(footer, 16), virtualSizeBytes });
  }
  return verdict.close(virtualSizeBytes);
}

function virtualSizeOf(footer: Buffer): number {
  const geometrySectors = footer.readUInt16BE(56) * footer.readUInt8(58) * footer.readUInt8(59);
  const byGeometry =
    !SIZE_CREATORS.includes(footer.toString('latin1', 28, 32)) && geometrySectors !== MAX_GEOMETRY_SECTORS;
  return byGeometry ? geometrySectors * 512 : uint64be(footer, 48);
}

async function checkDynamicHeader(
  verdict: Verdict,
  file: ImageFile,
  disk: { readonly offset: number; readonly virtualSizeBytes: number },
): Promise<void> {
  const header = await file.read(disk.offset, DYNAMIC_HEADER_BYTES);
  if (header === undefined || !hasText(header, 0, 'cxsparse')) {
    verdict.expect(false, `there is no dynamic header at offset ${disk.offset}`);
    return;
  }
  checkSum(verdict, header, { at: 36, what: 'dynamic header' });
  verdict.expect(
    header.subarray(40, 56).every((byte) => byte === 0),
    'it names a parent',
  );
  const tableOffset = uint64be(header, 16);
  const entries = header.readUInt32BE(28);
  const blockBytes = header.readUInt32BE(32);
  verdict.expect(
    isPowerOfTwo(blockBytes, { min: 512, max: MAX_BLOCK_BYTES }),
    `expected a block size of 512 bytes to 256 MiB, found ${blockBytes}`,
  );
  verdict.expect(
    tableOffset + entries * 4 <= file.sizeBytes,
    `a block table of ${entries} entries at offset ${tableOffset} passes the end of the file at ${file.sizeBytes}`,
  );
  verdict.expect(
    entries * blockBytes >= disk.virtualSizeBytes,
    `${entries} blocks of ${blockBytes} bytes do not hold a disk of ${disk.virtualSizeBytes}`,
  );
}

/** Specification, "Computing the checksum": the one's complement of the sum of all bytes but the field. */
function checkSum(verdict: Verdict, bytes: Buffer, field: { readonly at: number; readonly what: string }): void {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  for (const byte of bytes.subarray(field.at, field.at + 4)) sum -= byte;
  const expected = ~sum >>> 0;
  const found = bytes.readUInt32BE(field.at);
  verdict.expect(found === expected, `${field.what}: expected checksum ${expected}, found ${found}`);
}
