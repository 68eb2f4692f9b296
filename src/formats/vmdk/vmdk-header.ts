/**
 * The sparse extent header of VMDK (Virtual Disk Format 5.0, "Hosted Sparse Extents"). Little-endian, offsets and sizes in
 * sectors of 512 bytes.
 *
 *   offset  bytes  field
 *        0      4  "KDMV"
 *        4      4  version: 1 to 3
 *       12      8  capacity
 *       20      8  grain size
 *       28      8  descriptor: offset
 *       36      8  descriptor: size
 *       44      4  entries of one grain table
 *       56      8  grain directory: offset; all ones: a footer, 1 024 bytes before the end of the file, has the real header
 *       73      4  "\n \r\n": fails after a transfer as text
 *       77      2  compression: 0 none, 1 deflate
 */
import { type ImageFile, MAX_READ_BYTES, hasText, isPowerOfTwo, uint64le } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';
import { checkDescriptor } from './vmdk-descriptor.js';

const SECTOR_BYTES = 512;
const DIRECTORY_AT_END = 0xffffffffffffffffn;
const FOOTER_FROM_END_BYTES = 1024;
/** Limits of QEMU (block/vmdk.c, "vmdk_add_extent"). */
const MAX_GRAIN_SECTORS = 0x200000;
const MAX_TABLE_ENTRIES = 512;

/** Inspects a VMDK: one with a sparse header, a descriptor alone, or the older COWD; undefined for other content. */
export async function inspectVmdk(file: ImageFile): Promise<Inspection | undefined> {
  const { head } = file;
  const verdict = new Verdict('vmdk');
  if (hasText(head, 0, 'COWD')) {
    verdict.expect(false, 'the ESX server sparse kind is not accepted');
    return verdict.close(null);
  }
  if (isDescriptor(head)) {
    verdict.expect(false, 'it is a descriptor alone: its data is in other files');
    checkDescriptor(verdict, textOf(head));
    return verdict.close(null);
  }
  if (!hasText(head, 0, 'KDMV')) return undefined;
  if (!verdict.expect(head.length >= SECTOR_BYTES, `a header has ${SECTOR_BYTES} bytes, the file ${head.length}`)) {
    return verdict.close(null);
  }
  const capacityBytes = uint64le(head, 12) * SECTOR_BYTES;
  checkGeometry(verdict, head);
  await checkEmbeddedDescriptor(verdict, file);
  if (head.readBigUInt64LE(56) === DIRECTORY_AT_END) await checkFooter(verdict, file);
  else checkDirectory(verdict, file, head);
  return verdict.close(capacityBytes);
}

/** Text that QEMU would take for a descriptor: comments and blank lines, then `version=` (block/vmdk.c, "vmdk_probe"). */
function isDescriptor(head: Buffer): boolean {
  const first = head.subarray(0, 1)[0] ?? 0;
  // Most content is told apart by its first byte: '#', white space or 'v'.
  if (!' \t\r\n#vV'.includes(String.fromCharCode(first))) return false;
  const line = textOf(head)
    .split(/\r?\n/)
    .find((text) => text.trim() !== '' && !text.startsWith('#'));
  if (line !== undefined && /^\s*version\s*=/i.test(line)) return true;
  return hasText(head, 0, '# Disk DescriptorFile');
}

function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function checkGeometry(verdict: Verdict, header: Buffer): void {
  const version = header.readUInt32LE(4);
  verdict.expect(version >= 1 && version <= 3, `expected version 1 to 3, found ${version}`);
  verdict.expect(hasText(header, 73, '\n \r\n'), 'its line ends were changed by a transfer as text');
  const grainSectors = uint64le(header, 20);
  verdict.expect(
    isPowerOfTwo(grainSectors, { min: 1, max: MAX_GRAIN_SECTORS }),
    `expected a grain size of 1 to ${MAX_GRAIN_SECTORS} sectors, found ${grainSectors}`,
  );
  const tableEntries = header.readUInt32LE(44);
  verdict.expect(
    tableEntries >= 1 && tableEntries <= MAX_TABLE_ENTRIES,
    `expected grain tables of 1 to ${MAX_TABLE_ENTRIES} entries, found ${tableEntries}`,
  );
  const compression = header.readUInt16LE(77);
  verdict.expect(compression <= 1, `expected compression 0 or 1, found ${compression}`);
}

async function checkEmbeddedDescriptor(verdict: Verdict, file: ImageFile): Promise<void> {
  const offset = uint64le(file.head, 28) * SECTOR_BYTES;
  const lengthBytes = uint64le(file.head, 36) * SECTOR_BYTES;
  const bounded = lengthBytes > 0 && lengthBytes <= MAX_READ_BYTES && offset >= SECTOR_BYTES;
  const bytes = bounded ? await file.read(offset, lengthBytes) : undefined;
  if (bytes === undefined) {
    verdict.expect(
      false,
      `a descriptor of ${lengthBytes} bytes at offset ${offset} is not 1 to 65536 bytes of the file`,
    );
    return;
  }
  checkDescriptor(verdict, textOf(bytes));
}

/** The footer repeats the header; QEMU believes the footer, others the header, so that they must agree. */
async function checkFooter(verdict: Verdict, file: ImageFile): Promise<void> {
  const footer = await file.read(file.sizeBytes - FOOTER_FROM_END_BYTES, SECTOR_BYTES);
  if (footer === undefined || !hasText(footer, 0, 'KDMV')) {
    verdict.expect(false, 'its footer is missing');
    return;
  }
  const agrees = footer.subarray(4, 48).equals(file.head.subarray(4, 48));
  verdict.expect(agrees, 'its footer says something else than its header');
  if (agrees) checkDirectory(verdict, file, footer);
}

function checkDirectory(verdict: Verdict, file: ImageFile, header: Buffer): void {
  const capacity = uint64le(header, 12);
  const sectorsPerTable = uint64le(header, 20) * header.readUInt32LE(44);
  const directoryBytes = sectorsPerTable === 0 ? 0 : Math.ceil(capacity / sectorsPerTable) * 4;
  const offset = uint64le(header, 56) * SECTOR_BYTES;
  verdict.expect(
    offset >= SECTOR_BYTES && offset + directoryBytes <= file.sizeBytes,
    `a grain directory of ${directoryBytes} bytes at offset ${offset} passes the end of the file at ${file.sizeBytes}`,
  );
}
