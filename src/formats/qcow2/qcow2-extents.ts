/**
 * From the tables of a qcow2 to the extents of its disk, in the order of the disk (qcow2.rst, "Cluster mapping").
 *
 *   L1 entry   bits 9–55 offset of an L2 table, 0: none; 63 "copied"
 *   L2 entry   bit 62 compressed, 63 "copied"; else
 *              bit 0 reads as zeros (version 3), 9–55 offset of the cluster, 0: not allocated
 *   compressed bits 0 to x-1 offset of the data, x to 61 further sectors of 512 bytes, where x = 62 - (cluster_bits - 8)
 *   extended   16 bytes: the entry without bit 0, then 32 bits "reads as zeros" and 32 bits "allocated", a bit a subcluster, the
 *              lowest for the first
 *
 * As there is no backing file, what is not allocated reads as zeros.
 */
import { ServiceError } from '../../base/service-error.js';
import type { ReadAt } from '../image-file.js';
import { ClusterUse } from './cluster-use.js';
import { type Extent, ExtentRuns } from './extent-runs.js';
import { type Qcow2Layout, refused } from './qcow2-layout.js';

/** Lets other work have its turn. */
export type Turn = () => Promise<void>;

const TABLE_READ_BYTES = 64 * 1024;
/** To read a small table takes as long as to walk so much of one. */
const TABLE_COST_BYTES = 4096;
const SUBCLUSTERS = 32;
/** Bits 32 to 55 of an entry: the upper part of an offset. */
const OFFSET_HIGH = 0x00ffffff;
/** Bits 9 to 31: the lower part. */
const OFFSET_LOW = 0xfffffe00;
/** Bits 56 to 61, and 56 to 62 where no entry is compressed. */
const RESERVED_HIGH = 0x3f000000;
const RESERVED_L1_HIGH = 0x7f000000;
const COMPRESSED_HIGH = 0x40000000;
const SECTOR_BYTES = 512;

/**
 * Walks the tables. UNSUPPORTED_MEDIA: they are not as the format says. Every step is bounded by the file and the L1 table, and
 * tables that are in memory already are no reason to keep others waiting: after each 64 KiB of them comes a turn.
 */
export async function* extentsOf(
  layout: Qcow2Layout,
  readAt: ReadAt,
  turn: Turn,
): AsyncGenerator<readonly Extent[], void, undefined> {
  const { l1Count, l1OffsetBytes, clusterBytes, l2Count, diskBytes } = layout;
  const use = new ClusterUse(layout);
  use.take(0, () => 'header');
  for (let at = 0; at < l1Count * 8; at += clusterBytes) use.take(l1OffsetBytes + at, () => 'L1 table');
  const runs = new ExtentRuns();
  let restBytes = diskBytes;
  let sinceTurnBytes = 0;
  for (let first = 0; first < l1Count; first += TABLE_READ_BYTES / 8) {
    const count = Math.min(TABLE_READ_BYTES / 8, l1Count - first);
    const entries = await readTable(readAt, l1OffsetBytes + first * 8, count * 8);
    await turn();
    for (let index = 0; index < count; index += 1) {
      const lengthBytes = Math.min(restBytes, l2Count * clusterBytes);
      restBytes -= lengthBytes;
      const what = (): string => `entry ${first + index} of the L1 table`;
      const offsetBytes = l1Offset(entries, index * 8, what);
      if (offsetBytes === 0) {
        runs.zero(lengthBytes);
        continue;
      }
      use.take(offsetBytes, () => `L2 table of ${what()}`);
      const table = await readTable(readAt, offsetBytes, clusterBytes);
      const l2 = new L2Table({ layout, use, runs }, table, what);
      for (let at = 0; at < clusterBytes; at += TABLE_READ_BYTES) {
        l2.walk(at, Math.min(at + TABLE_READ_BYTES, clusterBytes), lengthBytes);
        sinceTurnBytes += Math.min(TABLE_READ_BYTES, clusterBytes) + TABLE_COST_BYTES;
        if (sinceTurnBytes < TABLE_READ_BYTES) continue;
        sinceTurnBytes = 0;
        await turn();
        yield runs.take();
      }
    }
  }
  yield runs.end();
}

function l1Offset(entries: DataView, at: number, what: () => string): number {
  const high = entries.getUint32(at);
  const low = entries.getUint32(at + 4);
  if ((high & RESERVED_L1_HIGH) !== 0 || (low & ~OFFSET_LOW) !== 0) throw refused(`${what()}: reserved bits are set`);
  return offsetOf(high, low);
}

function offsetOf(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
}

class L2Table {
  readonly #layout: Qcow2Layout;
  readonly #use: ClusterUse;
  readonly #runs: ExtentRuns;
  readonly #table: DataView;
  readonly #what: () => string;

  constructor(
    { layout, use, runs }: { readonly layout: Qcow2Layout; readonly use: ClusterUse; readonly runs: ExtentRuns },
    table: DataView,
    what: () => string,
  ) {
    this.#layout = layout;
    this.#use = use;
    this.#runs = runs;
    this.#table = table;
    this.#what = what;
  }

  /** Adds the extents of a part of the table, of which the first so many bytes that it maps are meant. */
  walk(fromBytes: number, toBytes: number, lengthBytes: number): void {
    const { clusterBytes, l2EntryBytes } = this.#layout;
    const endIndex = Math.min(toBytes / l2EntryBytes, Math.ceil(lengthBytes / clusterBytes));
    for (let index = fromBytes / l2EntryBytes; index < endIndex; index += 1) {
      const wanted = Math.min(clusterBytes, lengthBytes - index * clusterBytes);
      if (l2EntryBytes === 8) this.#cluster(index, wanted);
      else this.#subclusters(index, wanted);
    }
  }

  #named(index: number): string {
    return `entry ${index} of the L2 table of ${this.#what()}`;
  }

  #cluster(index: number, lengthBytes: number): void {
    const high = this.#table.getUint32(index * 8);
    const low = this.#table.getUint32(index * 8 + 4);
    if ((high & COMPRESSED_HIGH) !== 0) {
      this.#deflated(high, low, { index, lengthBytes });
      return;
    }
    const zeroBit = this.#layout.version === 2 ? 0 : 1;
    if ((high & RESERVED_HIGH) !== 0 || (low & ~OFFSET_LOW & ~zeroBit) !== 0)
      throw refused(`${this.#named(index)}: reserved bits are set`);
    const fileOffsetBytes = offsetOf(high, low);
    if (fileOffsetBytes !== 0) this.#use.take(fileOffsetBytes, () => this.#named(index));
    if (fileOffsetBytes === 0 || (low & zeroBit) !== 0) this.#runs.zero(lengthBytes);
    else this.#runs.data(lengthBytes, fileOffsetBytes);
  }

  #deflated(high: number, low: number, at: { readonly index: number; readonly lengthBytes: number }): void {
    const { clusterBits, fileBytes, compression } = this.#layout;
    if (compression !== 'zlib')
      throw new ServiceError('NOT_IMPLEMENTED', `qcow2: clusters compressed by ${compression} cannot be read yet`);
    // Of the 62 bits the upper ones, 1 to 13 of them, count sectors.
    const sectorShift = 30 - (clusterBits - 8);
    const sectors = (high & ~COMPRESSED_HIGH & 0x3fffffff) >>> sectorShift;
    const fileOffsetBytes = (high & (2 ** sectorShift - 1)) * 2 ** 32 + low;
    const storedBytes = (sectors + 1) * SECTOR_BYTES - (fileOffsetBytes % SECTOR_BYTES);
    if (fileOffsetBytes >= fileBytes)
      throw refused(`${this.#named(at.index)}: offset ${fileOffsetBytes} is past the end of the file at ${fileBytes}`);
    this.#use.inflate();
    // The last sector may be cut off by the end of the file.
    const there = Math.min(storedBytes, fileBytes - fileOffsetBytes);
    this.#runs.deflated({ kind: 'deflated', lengthBytes: at.lengthBytes, fileOffsetBytes, storedBytes: there });
  }

  #subclusters(index: number, lengthBytes: number): void {
    const high = this.#table.getUint32(index * 16);
    const low = this.#table.getUint32(index * 16 + 4);
    const zeros = this.#table.getUint32(index * 16 + 8);
    const allocated = this.#table.getUint32(index * 16 + 12);
    if ((high & COMPRESSED_HIGH) !== 0) {
      this.#deflated(high, low, { index, lengthBytes });
      return;
    }
    if ((high & RESERVED_HIGH) !== 0 || (low & ~OFFSET_LOW) !== 0)
      throw refused(`${this.#named(index)}: reserved bits are set`);
    if ((zeros & allocated) !== 0) throw refused(`${this.#named(index)}: subclusters are both zero and allocated`);
    const clusterOffset = offsetOf(high, low);
    if (clusterOffset !== 0) this.#use.take(clusterOffset, () => this.#named(index));
    else if (allocated !== 0) throw refused(`${this.#named(index)}: subclusters of no cluster`);
    if (allocated === 0) {
      this.#runs.zero(lengthBytes);
      return;
    }
    const subclusterBytes = this.#layout.clusterBytes / SUBCLUSTERS;
    for (let sub = 0; sub < SUBCLUSTERS && sub * subclusterBytes < lengthBytes; sub += 1) {
      const wanted = Math.min(subclusterBytes, lengthBytes - sub * subclusterBytes);
      const fileOffsetBytes = clusterOffset + sub * subclusterBytes;
      if (((allocated >>> sub) & 1) === 0) this.#runs.zero(wanted);
      else this.#runs.data(wanted, fileOffsetBytes);
    }
  }
}

async function readTable(readAt: ReadAt, offsetBytes: number, lengthBytes: number): Promise<DataView> {
  const bytes = await readAt(offsetBytes, lengthBytes);
  if (bytes.length !== lengthBytes)
    throw refused(`a table of ${lengthBytes} bytes at offset ${offsetBytes} passes the end of the file`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
