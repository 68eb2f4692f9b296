/**
 * The header of qcow2, versions 2 and 3 (qcow2.rst, "Header"). Integers are big-endian.
 *
 *   offset  bytes  field
 *        0      4  magic, "QFI\xfb"
 *        4      4  version
 *        8      8  backing file name: offset, 0 when none
 *       16      4  backing file name: length
 *       20      4  cluster_bits: cluster size is 1 << cluster_bits
 *       24      8  virtual size
 *       32      4  encryption: 0 none, 1 AES, 2 LUKS
 *       36      4  L1 table: entries of 8 bytes
 *       40      8  L1 table: offset
 *       48      8  refcount table: offset
 *       56      4  refcount table: clusters
 *       60      4  snapshots: count
 *       64      8  snapshots: offset
 *   from version 3 on:
 *       72      8  incompatible features
 *       80      8  compatible features
 *       88      8  autoclear features
 *       96      4  refcount_order
 *      100      4  header length
 *      104      1  compression type, when the header is longer than 104
 * Header extensions follow: type, length, data padded to 8 bytes; type 0 ends them.
 */
import { type ImageFile, hasText, uint64be } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const V2_HEADER_BYTES = 72;
const V3_HEADER_BYTES = 104;
/** What QEMU itself takes at most (block/qcow2.h). */
const MAX_L1_BYTES = 32 * 1024 * 1024;
const MAX_REFCOUNT_TABLE_BYTES = 8 * 1024 * 1024;
const MAX_SNAPSHOTS = 65536;
const MIN_SNAPSHOT_BYTES = 40;

const INCOMPATIBLE_DIRTY = 1n;
const INCOMPATIBLE_CORRUPT = 2n;
const INCOMPATIBLE_DATA_FILE = 4n;
const INCOMPATIBLE_COMPRESSION = 8n;
const INCOMPATIBLE_EXTENDED_L2 = 16n;
const KNOWN_INCOMPATIBLE =
  INCOMPATIBLE_DIRTY |
  INCOMPATIBLE_CORRUPT |
  INCOMPATIBLE_DATA_FILE |
  INCOMPATIBLE_COMPRESSION |
  INCOMPATIBLE_EXTENDED_L2;

interface HeaderFacts {
  readonly lengthBytes: number;
  readonly l2EntryBytes: number;
}
/** qcow2.rst, "Header": what version 2 implies. */
const VERSION_2: HeaderFacts = { lengthBytes: V2_HEADER_BYTES, l2EntryBytes: 8 };

const EXTENSION_END = 0;
const EXTENSION_DATA_FILE = 0x44415441;

/**
 * Inspects a qcow2 header; undefined for other content. A dirty image (its refcounts may lag) is safe: refcounts are not
 * needed to read, and QEMU rebuilds them before it writes.
 */
export function inspectQcow2(file: ImageFile): Inspection | undefined {
  const { head } = file;
  if (!hasText(head, 0, 'QFI\xfb')) return undefined;
  const verdict = new Verdict('qcow2');
  if (
    !verdict.expect(head.length >= V2_HEADER_BYTES, `a header has ${V2_HEADER_BYTES} bytes, the file ${head.length}`)
  ) {
    return verdict.close(null);
  }
  const version = head.readUInt32BE(4);
  // Version 1 is a format of its own (formats/qcow).
  if (version === 1) return undefined;
  if (!verdict.expect(version === 2 || version === 3, `expected version 2 or 3, found ${version}`)) {
    return verdict.close(null);
  }
  if (!verdict.expect(version === 2 || head.length >= V3_HEADER_BYTES, 'the file ends inside the header')) {
    return verdict.close(null);
  }
  const virtualSizeBytes = uint64be(head, 24);
  const clusterBits = head.readUInt32BE(20);
  checkOutside(verdict, head);
  // qcow2.rst, "Header": at least 9; QEMU takes no more than 21.
  if (
    !verdict.expect(clusterBits >= 9 && clusterBits <= 21, `expected cluster_bits from 9 to 21, found ${clusterBits}`)
  ) {
    return verdict.close(virtualSizeBytes);
  }
  const clusterBytes = 2 ** clusterBits;
  const header = version === 2 ? VERSION_2 : checkVersion3(verdict, { head, clusterBits });
  checkExtensions(verdict, { head, start: header.lengthBytes, end: clusterBytes });
  checkTables(verdict, file, { clusterBytes, virtualSizeBytes, l2EntryBytes: header.l2EntryBytes });
  checkSnapshots(verdict, file, clusterBytes);
  return verdict.close(virtualSizeBytes);
}

/** What would make a reader open something else, or need a key that only QEMU's removed AES mode has. */
function checkOutside(verdict: Verdict, head: Buffer): void {
  verdict.expect(uint64be(head, 8) === 0, 'it has a backing file');
  const encryption = head.readUInt32BE(32);
  verdict.expect(encryption === 0 || encryption === 2, `encryption ${encryption} is not supported (0 or 2 is)`);
}

function checkVersion3(verdict: Verdict, from: { readonly head: Buffer; readonly clusterBits: number }): HeaderFacts {
  const { head, clusterBits } = from;
  const incompatible = head.readBigUInt64BE(72);
  const unknown = incompatible & ~KNOWN_INCOMPATIBLE;
  verdict.expect(unknown === 0n, `unknown incompatible features 0x${unknown.toString(16)}`);
  verdict.expect((incompatible & INCOMPATIBLE_CORRUPT) === 0n, 'it is marked corrupt');
  verdict.expect((incompatible & INCOMPATIBLE_DATA_FILE) === 0n, 'its data is in an external file');

  const refcountOrder = head.readUInt32BE(96);
  verdict.expect(refcountOrder <= 6, `expected refcount_order up to 6, found ${refcountOrder}`);

  const lengthBytes = head.readUInt32BE(100);
  const sane = lengthBytes >= V3_HEADER_BYTES && lengthBytes % 8 === 0 && lengthBytes <= 2 ** clusterBits;
  verdict.expect(sane, `expected a header of 104 bytes to one cluster, found ${lengthBytes}`);

  const compression = sane && lengthBytes > V3_HEADER_BYTES && head.length > V3_HEADER_BYTES ? head.readUInt8(104) : 0;
  // qcow2.rst, "Incompatible features", bit 3: set exactly when the type is not zlib (0); 1 is zstd.
  const expectedType = (incompatible & INCOMPATIBLE_COMPRESSION) === 0n ? 0 : 1;
  verdict.expect(compression === expectedType, `expected compression type ${expectedType}, found ${compression}`);

  const extendedL2 = (incompatible & INCOMPATIBLE_EXTENDED_L2) !== 0n;
  verdict.expect(!extendedL2 || clusterBits >= 14, `extended L2 entries need cluster_bits 14, found ${clusterBits}`);
  return { lengthBytes: sane ? lengthBytes : V3_HEADER_BYTES, l2EntryBytes: extendedL2 ? 16 : 8 };
}

/** Walks the extensions that lie in the first 64 KiB; QEMU writes them into the first few hundred bytes. */
function checkExtensions(
  verdict: Verdict,
  from: { readonly head: Buffer; readonly start: number; readonly end: number },
): void {
  const { head } = from;
  let offset = from.start;
  // Each turn moves on by at least 8 bytes, so that 64 KiB bound the loop.
  while (offset + 8 <= Math.min(from.end, head.length)) {
    const type = head.readUInt32BE(offset);
    const lengthBytes = head.readUInt32BE(offset + 4);
    if (type === EXTENSION_END) return;
    if (!verdict.expect(type !== EXTENSION_DATA_FILE, 'it names an external data file')) return;
    const end = offset + 8 + Math.ceil(lengthBytes / 8) * 8;
    if (
      !verdict.expect(end <= from.end, `header extension at ${offset}: ${lengthBytes} bytes pass the first cluster`)
    ) {
      return;
    }
    offset = end;
  }
  const reachable = Math.min(from.end, head.length);
  verdict.expect(offset + 8 > from.end, `header extensions do not end within ${reachable} bytes`);
}

function checkTables(
  verdict: Verdict,
  file: ImageFile,
  disk: { readonly clusterBytes: number; readonly virtualSizeBytes: number; readonly l2EntryBytes: number },
): void {
  const { head, sizeBytes } = file;
  const { clusterBytes } = disk;
  const l1Entries = head.readUInt32BE(36);
  const l1Offset = uint64be(head, 40);
  const l1Bytes = l1Entries * 8;
  const bytesPerL1Entry = (clusterBytes / disk.l2EntryBytes) * clusterBytes;
  const neededEntries = Math.ceil(disk.virtualSizeBytes / bytesPerL1Entry);
  verdict.expect(
    l1Entries >= neededEntries,
    `a disk this large needs an l1_size of ${neededEntries}, found ${l1Entries}`,
  );
  verdict.expect(l1Bytes <= MAX_L1_BYTES, `expected an L1 table of at most ${MAX_L1_BYTES} bytes, found ${l1Bytes}`);
  if (l1Entries > 0) {
    verdict.expect(
      l1Offset >= clusterBytes && l1Offset % clusterBytes === 0 && l1Offset + l1Bytes <= sizeBytes,
      `l1_size ${l1Entries} needs ${l1Bytes} bytes at offset ${l1Offset}, file ends at ${sizeBytes}`,
    );
  }
  const refcountOffset = uint64be(head, 48);
  const refcountBytes = head.readUInt32BE(56) * clusterBytes;
  verdict.expect(
    refcountBytes > 0 && refcountBytes <= MAX_REFCOUNT_TABLE_BYTES,
    `expected a refcount table of one cluster to ${MAX_REFCOUNT_TABLE_BYTES} bytes, found ${refcountBytes}`,
  );
  verdict.expect(
    refcountOffset >= clusterBytes && refcountOffset % clusterBytes === 0 && refcountOffset + 8 <= sizeBytes,
    `refcount table at offset ${refcountOffset} is not a cluster of the file, which ends at ${sizeBytes}`,
  );
}

function checkSnapshots(verdict: Verdict, file: ImageFile, clusterBytes: number): void {
  const count = file.head.readUInt32BE(60);
  if (count === 0) return;
  const offset = uint64be(file.head, 64);
  verdict.expect(count <= MAX_SNAPSHOTS, `expected at most ${MAX_SNAPSHOTS} snapshots, found ${count}`);
  verdict.expect(
    offset >= clusterBytes && offset + count * MIN_SNAPSHOT_BYTES <= file.sizeBytes,
    `${count} snapshots at offset ${offset} pass the end of the file at ${file.sizeBytes}`,
  );
}
