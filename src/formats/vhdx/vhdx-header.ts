/**
 * VHDX (MS-VHDX). Little-endian.
 *
 *        0  "vhdxfile"
 *   64 KiB  header 1, 128 KiB header 2 (4 KiB each): "head" at 0, CRC-32C at 4, sequence number at 8 (8), log's guid at 48
 *           (16; zero: the log is empty), version at 66 (2)
 *  192 KiB  region table 1, 256 KiB region table 2 (64 KiB each): "regi" at 0, CRC-32C at 4, count at 8 (4); from 16 on
 *           entries of 32 bytes: guid (16), offset (8), length (4), required (4)
 *   metadata region: "metadata" at 0, count at 10 (2); from 32 on entries of 32 bytes: guid (16), offset in the region (4),
 *           length (4), flags (4; bit 2: required)
 */
import { type ImageFile, MAX_READ_BYTES, hasText, isPowerOfTwo, uint64le } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';
import { crc32cWithout } from './crc32c.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const HEADER_BYTES = 4 * KIB;
const TABLE_BYTES = MAX_READ_BYTES;
const ENTRY_BYTES = 32;
const MAX_REGIONS = 2047;
/** What fits into the 64 KiB of the metadata table (MS-VHDX 2.6.1). */
const MAX_METADATA = 2047;
const MAX_VIRTUAL_BYTES = 64 * 2 ** 40;

/** Guids as they lie in the file (first three fields little-endian). */
const REGION_BLOCK_TABLE = '6677c22d23f600429d64115e9bfd4a08';
const REGION_METADATA = '06a27c8b90479a4bb8fe575f050f886e';
const ITEM_FILE_PARAMETERS = '3767a1ca36fa434db3b633f0aa44e76b';
const ITEM_VIRTUAL_SIZE = '2442a52f1bcd7648b2115dbed83bf4b8';
const ITEM_PARENT_LOCATOR = '2d5fd3a80bb34d45abf7d3d84834ab0c';
const ITEM_DISK_ID = 'ab12cabee6b2234593efc309e000c746';
const ITEM_LOGICAL_SECTOR = '1dbf41816fa90947ba47f233a8faab5f';
const ITEM_PHYSICAL_SECTOR = 'c748a3cd5d4471449cc9e9885251c556';
const KNOWN_ITEMS: readonly string[] = [
  ITEM_FILE_PARAMETERS,
  ITEM_VIRTUAL_SIZE,
  ITEM_PARENT_LOCATOR,
  ITEM_DISK_ID,
  ITEM_LOGICAL_SECTOR,
  ITEM_PHYSICAL_SECTOR,
];

/** Inspects headers, regions and metadata of a VHDX; undefined for other content. */
export async function inspectVhdx(file: ImageFile): Promise<Inspection | undefined> {
  if (!hasText(file.head, 0, 'vhdxfile')) return undefined;
  const verdict = new Verdict('vhdx');
  await checkHeaders(verdict, file);
  const metadata = await findMetadata(verdict, file);
  return verdict.close(metadata === undefined ? null : await readMetadata(verdict, file, metadata));
}

async function checkHeaders(verdict: Verdict, file: ImageFile): Promise<void> {
  const headers: Buffer[] = [];
  for (const offset of [64 * KIB, 128 * KIB]) {
    const header = await readSummed(file, { offset, lengthBytes: HEADER_BYTES, signature: 'head' });
    if (header !== undefined) headers.push(header);
  }
  const [current] = headers.sort((a, b) => uint64le(b, 8) - uint64le(a, 8));
  if (current === undefined) {
    verdict.expect(false, 'neither header has its signature and checksum');
    return;
  }
  const version = current.readUInt16LE(66);
  verdict.expect(version === 1, `expected version 1, found ${version}`);
  // Replaying a log rewrites any part of the file: what the metadata says now would prove nothing.
  const logIsEmpty = current.subarray(48, 64).every((byte) => byte === 0);
  verdict.expect(logIsEmpty, 'its log must be replayed first: open and close the disk on its hypervisor');
}

interface Region {
  readonly offset: number;
  readonly lengthBytes: number;
}

async function findMetadata(verdict: Verdict, file: ImageFile): Promise<Region | undefined> {
  const table =
    (await readSummed(file, { offset: 192 * KIB, lengthBytes: TABLE_BYTES, signature: 'regi' })) ??
    (await readSummed(file, { offset: 256 * KIB, lengthBytes: TABLE_BYTES, signature: 'regi' }));
  if (table === undefined) {
    verdict.expect(false, 'neither region table has its signature and checksum');
    return undefined;
  }
  const count = table.readUInt32LE(8);
  if (!verdict.expect(count <= MAX_REGIONS, `expected at most ${MAX_REGIONS} regions, found ${count}`))
    return undefined;
  const regions = new Map<string, Region>();
  for (let index = 0; index < count; index++) {
    const entry = table.subarray(16 + index * ENTRY_BYTES, 16 + (index + 1) * ENTRY_BYTES);
    const guid = entry.toString('hex', 0, 16);
    const region = { offset: uint64le(entry, 16), lengthBytes: entry.readUInt32LE(24) };
    const known = guid === REGION_BLOCK_TABLE || guid === REGION_METADATA;
    verdict.expect(known || (entry.readUInt32LE(28) & 1) === 0, `unknown required region ${guid}`);
    const placed = region.offset >= MIB && region.offset + region.lengthBytes <= file.sizeBytes;
    verdict.expect(placed, `a region at ${region.offset} of ${region.lengthBytes} bytes is not inside the file`);
    verdict.expect(!regions.has(guid), `region ${guid} is there twice`);
    if (known && placed) regions.set(guid, region);
  }
  const metadata = regions.get(REGION_METADATA);
  const blockTable = regions.get(REGION_BLOCK_TABLE);
  if (metadata === undefined || blockTable === undefined) {
    verdict.expect(false, 'it needs a metadata region and a block table region');
    return undefined;
  }
  verdict.expect(
    metadata.offset + metadata.lengthBytes <= blockTable.offset ||
      blockTable.offset + blockTable.lengthBytes <= metadata.offset,
    'its regions overlap',
  );
  return metadata;
}

async function readMetadata(verdict: Verdict, file: ImageFile, region: Region): Promise<number | null> {
  const table = region.lengthBytes < TABLE_BYTES ? undefined : await file.read(region.offset, TABLE_BYTES);
  if (table === undefined || !hasText(table, 0, 'metadata')) {
    verdict.expect(false, `there is no metadata table at offset ${region.offset}`);
    return null;
  }
  const count = table.readUInt16LE(10);
  if (!verdict.expect(count <= MAX_METADATA, `expected at most ${MAX_METADATA} metadata items, found ${count}`)) {
    return null;
  }
  const items = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const start = 32 + index * ENTRY_BYTES;
    const guid = table.toString('hex', start, start + 16);
    const offset = table.readUInt32LE(start + 16);
    const required = (table.readUInt32LE(start + 24) & 4) !== 0;
    verdict.expect(!required || KNOWN_ITEMS.includes(guid), `unknown required metadata ${guid}`);
    verdict.expect(!items.has(guid), `metadata ${guid} is there twice`);
    items.set(guid, offset);
  }
  verdict.expect(!items.has(ITEM_PARENT_LOCATOR), 'it names a parent');
  const readItem = async (guid: string): Promise<Buffer | undefined> => {
    const offset = items.get(guid);
    const inside = offset !== undefined && offset >= TABLE_BYTES && offset + 8 <= region.lengthBytes;
    return inside ? file.read(region.offset + offset, 8) : undefined;
  };
  const parameters = await readItem(ITEM_FILE_PARAMETERS);
  const size = await readItem(ITEM_VIRTUAL_SIZE);
  if (parameters === undefined || size === undefined) {
    verdict.expect(false, 'its metadata lacks the file parameters or the virtual disk size');
    return null;
  }
  const blockBytes = parameters.readUInt32LE(0);
  verdict.expect(
    isPowerOfTwo(blockBytes, { min: MIB, max: 256 * MIB }),
    `expected a block size of 1 to 256 MiB, found ${blockBytes}`,
  );
  verdict.expect((parameters.readUInt32LE(4) & 2) === 0, 'it is a differencing disk');
  const virtualSizeBytes = uint64le(size, 0);
  verdict.expect(virtualSizeBytes <= MAX_VIRTUAL_BYTES, `a disk of ${virtualSizeBytes} bytes is above 64 TiB`);
  return virtualSizeBytes;
}

/** Reads a structure; undefined unless its signature and its checksum (at 4) are right. */
async function readSummed(
  file: ImageFile,
  from: { readonly offset: number; readonly lengthBytes: number; readonly signature: string },
): Promise<Buffer | undefined> {
  const bytes = await file.read(from.offset, from.lengthBytes);
  if (bytes === undefined || !hasText(bytes, 0, from.signature)) return undefined;
  return crc32cWithout(bytes, 4) === bytes.readUInt32LE(4) ? bytes : undefined;
}
