import { inflateRaw, constants } from 'node:zlib';
import { openImageFile, type ReadAt } from '../image-file.js';
import type { Extent } from './extent-runs.js';
import { extentsOf, type Turn } from './qcow2-extents.js';
import { type Qcow2Layout, readLayout, refused } from './qcow2-layout.js';

/** The next bytes of a disk: zeros, in any number, or data of at most 1 MiB (a compressed cluster of 2 MiB apart). */
export type DiskPiece =
  | { readonly kind: 'zero'; readonly lengthBytes: number }
  | { readonly kind: 'data'; readonly bytes: Uint8Array };

/** The disk inside a file. */
export interface DiskReader {
  readonly sizeBytes: number;
  /** All of it, from the start on. */
  pieces(): AsyncIterable<DiskPiece>;
}

/** So many pieces are read or inflated at a time. */
const AHEAD = 4;

/**
 * Opens the disk inside a qcow2, of version 2 or 3, with compressed clusters (zlib) and extended L2 entries; active state, not
 * snapshots. `readAt` gives bytes that stay as they are. UNSUPPORTED_MEDIA: it has a backing file, a data file or a key, or its tables
 * are not as the format says. NOT_IMPLEMENTED: compressed by zstd. LIMIT_EXCEEDED: too many clusters. Memory: 50 MiB at
 * most. `turn` is awaited so often that other work is not kept waiting.
 */
export async function openQcow2Disk(readAt: ReadAt, fileBytes: number, turn: Turn): Promise<DiskReader> {
  const layout = readLayout(await openImageFile(readAt, fileBytes));
  return { sizeBytes: layout.diskBytes, pieces: () => pieces(layout, readAt, turn) };
}

async function* pieces(layout: Qcow2Layout, readAt: ReadAt, turn: Turn): AsyncGenerator<DiskPiece, void, undefined> {
  const pending: Promise<DiskPiece>[] = [];
  for await (const extents of extentsOf(layout, readAt, turn))
    for (const extent of extents) {
      const piece = readPiece(layout, readAt, extent);
      // Awaited in order below; until then a failure must not count as unhandled.
      piece.catch(() => undefined);
      pending.push(piece);
      const first = pending.length < AHEAD ? undefined : pending.shift();
      if (first !== undefined) yield await first;
    }
  for (const piece of pending) yield await piece;
}

async function readPiece(layout: Qcow2Layout, readAt: ReadAt, extent: Extent): Promise<DiskPiece> {
  if (extent.kind === 'zero') return extent;
  const { fileOffsetBytes, lengthBytes } = extent;
  if (extent.kind === 'deflated') {
    const stored = await readAt(fileOffsetBytes, extent.storedBytes);
    const bytes = await inflate(stored, { clusterBytes: layout.clusterBytes, fileOffsetBytes });
    return { kind: 'data', bytes: bytes.subarray(0, lengthBytes) };
  }
  // A file may end inside its last cluster: QEMU reads zeros there.
  const there = Math.min(lengthBytes, layout.fileBytes - fileOffsetBytes);
  const read = await readAt(fileOffsetBytes, there);
  if (read.length === lengthBytes) return { kind: 'data', bytes: read };
  const bytes = new Uint8Array(lengthBytes);
  bytes.set(read);
  return { kind: 'data', bytes };
}

/** In a thread of libuv's. What follows the data in its last sector is left alone. */
function inflate(
  stored: Uint8Array,
  { clusterBytes, fileOffsetBytes }: { readonly clusterBytes: number; readonly fileOffsetBytes: number },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { maxOutputLength: clusterBytes, finishFlush: constants.Z_SYNC_FLUSH };
    inflateRaw(stored, options, (error, bytes) => {
      if (error === null && bytes.length === clusterBytes) resolve(bytes);
      else reject(refused(`compressed cluster at offset ${fileOffsetBytes} is not one of ${clusterBytes} bytes`));
    });
  });
}
