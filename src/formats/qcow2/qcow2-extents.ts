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
import { type Qcow2Layout, refused } from './qcow2-layout.js';

/** A run of the disk. Zeros and data may be of any length. */
export type Extent =
  | { readonly kind: 'zero'; readonly lengthBytes: number }
  | { readonly kind: 'data'; readonly lengthBytes: number; readonly fileOffsetBytes: number }
  | {
      readonly kind: 'deflated';
      readonly lengthBytes: number;
      readonly fileOffsetBytes: number;
      /** At most; the rest of the last sector is something else's. */
      readonly storedBytes: number;
    };

const TABLE_READ_BYTES = 64 * 1024;
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

/** Walks the tables. UNSUPPORTED_MEDIA: they are not as the format says. Every step is bounded by the file and the L1 table. */
export async function* extentsOf(layout: Qcow2Layout, readAt: ReadAt): AsyncGenerator<Extent, void, undefined> {
  const { l1Count, l1OffsetBytes, clusterBytes, l2Count, diskBytes } = layout;
  const use = new ClusterUse(layout);
  use.take(0, () => 'header');
  for (let at = 0; at < l1Count * 8; at += clusterBytes) use.take(l1OffsetBytes + at, () => 'L1 table');
  let restBytes = diskBytes;
  for (let first = 0; first < l1Count; first += TABLE_READ_BYTES / 8) {
    const count = Math.min(TABLE_READ_BYTES / 8, l1Count - first);
    const entries = await readTable(readAt, l1OffsetBytes + first * 8, count * 8);
    for (let index = 0; index < count; index += 1) {
      const lengthBytes = Math.min(restBytes, l2Count * clusterBytes);
      restBytes -= lengthBytes;
      const what = (): string => `entry ${first + index} of the L1 table`;
      const offsetBytes = l1Offset(entries, index * 8, what);
      if (offsetBytes === 0) {
        yield { kind: 'zero', lengthBytes };
        continue;
      }
      use.take(offsetBytes, () => `L2 table of ${what()}`);
      const table = await readTable(readAt, offsetBytes, clusterBytes);
      yield* new L2Table(layout, use, table, what).extents(lengthBytes);
    }
  }
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
  readonly #table: DataView;
  readonly #what: () => string;

  constructor(layout: Qcow2Layout, use: ClusterUse, table: DataView, what: () => string) {
    this.#layout = layout;
    this.#use = use;
    this.#table = table;
    this.#what = what;
  }

  /** The extents of the first so many bytes that the table maps. */
  *extents(lengthBytes: number): Generator<Extent, void, undefined> {
    const { clusterBytes, l2EntryBytes } = this.#layout;
    for (let index = 0; index * clusterBytes < lengthBytes; index += 1) {
      const wanted = Math.min(clusterBytes, lengthBytes - index * clusterBytes);
      if (l2EntryBytes === 8) yield this.#cluster(index, wanted);
      else yield* this.#subclusters(index, wanted);
    }
  }

  #named(index: number): string {
    return `entry ${index} of the L2 table of ${this.#what()}`;
  }

  #cluster(index: number, lengthBytes: number): Extent {
    const high = this.#table.getUint32(index * 8);
    const low = this.#table.getUint32(index * 8 + 4);
    if ((high & COMPRESSED_HIGH) !== 0) return this.#deflated(high, low, { index, lengthBytes });
    const zeroBit = this.#layout.version === 2 ? 0 : 1;
    if ((high & RESERVED_HIGH) !== 0 || (low & ~OFFSET_LOW & ~zeroBit) !== 0)
      throw refused(`${this.#named(index)}: reserved bits are set`);
    const fileOffsetBytes = offsetOf(high, low);
    if (fileOffsetBytes !== 0) this.#use.take(fileOffsetBytes, () => this.#named(index));
    if (fileOffsetBytes === 0 || (low & zeroBit) !== 0) return { kind: 'zero', lengthBytes };
    return { kind: 'data', lengthBytes, fileOffsetBytes };
  }

  #deflated(high: number, low: number, at: { readonly index: number; readonly lengthBytes: number }): Extent {
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
    return { kind: 'deflated', lengthBytes: at.lengthBytes, fileOffsetBytes, storedBytes: there };
  }

  *#subclusters(index: number, lengthBytes: number): Generator<Extent, void, undefined> {
    const high = this.#table.getUint32(index * 16);
    const low = this.#table.getUint32(index * 16 + 4);
    const zeros = this.#table.getUint32(index * 16 + 8);
    const allocated = this.#table.getUint32(index * 16 + 12);
    if ((high & COMPRESSED_HIGH) !== 0) {
      yield this.#deflated(high, low, { index, lengthBytes });
      return;
    }
    if ((high & RESERVED_HIGH) !== 0 || (low & ~OFFSET_LOW) !== 0)
      throw refused(`${this.#named(index)}: reserved bits are set`);
    if ((zeros & allocated) !== 0) throw refused(`${this.#named(index)}: subclusters are both zero and allocated`);
    const clusterOffset = offsetOf(high, low);
    if (clusterOffset !== 0) this.#use.take(clusterOffset, () => this.#named(index));
    else if (allocated !== 0) throw refused(`${this.#named(index)}: subclusters of no cluster`);
    const subclusterBytes = this.#layout.clusterBytes / SUBCLUSTERS;
    for (let sub = 0; sub < SUBCLUSTERS && sub * subclusterBytes < lengthBytes; sub += 1) {
      const wanted = Math.min(subclusterBytes, lengthBytes - sub * subclusterBytes);
      const fileOffsetBytes = clusterOffset + sub * subclusterBytes;
      if (((allocated >>> sub) & 1) === 0) yield { kind: 'zero', lengthBytes: wanted };
      else yield { kind: 'data', lengthBytes: wanted, fileOffsetBytes };
    }
  }
}

async function readTable(readAt: ReadAt, offsetBytes: number, lengthBytes: number): Promise<DataView> {
  const bytes = await readAt(offsetBytes, lengthBytes);
  if (bytes.length !== lengthBytes)
    throw refused(`a table of ${lengthBytes} bytes at offset ${offsetBytes} passes the end of the file`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
