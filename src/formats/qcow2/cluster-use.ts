import { ServiceError } from '../../base/service-error.js';
import { type Qcow2Layout, refused } from './qcow2-layout.js';

/** Memory for the marks: enough for 2 TiB in clusters of 8 KiB, and for what anybody has in those of 64 KiB. */
const MOST_MARK_BYTES = 32 * 1024 * 1024;
/** Deflate makes at most so much of a byte (zlib, "Technical Details"). */
const DEFLATE_RATIO = 1032;

/**
 * Which clusters of the file were met. Each one is of one table or of one part of the disk: an image whose tables share or name
 * each other could be made to stand for a disk of any size.
 */
export class ClusterUse {
  readonly #layout: Qcow2Layout;
  readonly #marks: Uint8Array;
  #inflatedBytes = 0;

  /** LIMIT_EXCEEDED: too many clusters. */
  constructor(layout: Qcow2Layout) {
    this.#layout = layout;
    const { fileBytes, clusterBytes } = layout;
    const markBytes = Math.ceil(Math.ceil(fileBytes / clusterBytes) / 8);
    if (markBytes > MOST_MARK_BYTES) {
      const most = MOST_MARK_BYTES * 8;
      const found = `${Math.ceil(fileBytes / clusterBytes)} of ${clusterBytes} bytes`;
      throw new ServiceError('LIMIT_EXCEEDED', `qcow2: expected at most ${most} clusters, found ${found}`);
    }
    this.#marks = new Uint8Array(markBytes);
  }

  /** Takes the cluster at the offset for `what`, such as "L2 table of entry 7 of the L1 table". */
  take(offsetBytes: number, what: () => string): void {
    const { clusterBytes, fileBytes } = this.#layout;
    if (offsetBytes % clusterBytes !== 0) throw refused(`${what()}: offset ${offsetBytes} is not that of a cluster`);
    if (offsetBytes >= fileBytes)
      throw refused(`${what()}: offset ${offsetBytes} is past the end of the file at ${fileBytes}`);
    const index = offsetBytes / clusterBytes;
    const byte = this.#marks[index >> 3] ?? 0;
    const bit = 1 << (index & 7);
    if ((byte & bit) !== 0) throw refused(`${what()}: the cluster at ${offsetBytes} is in use for something else`);
    this.#marks[index >> 3] = byte | bit;
  }

  /** Counts a compressed cluster. Several share a cluster of the file, so that only their sum tells that they cannot be. */
  inflate(): void {
    this.#inflatedBytes += this.#layout.clusterBytes;
    if (this.#inflatedBytes > this.#layout.fileBytes * DEFLATE_RATIO)
      throw refused(`more compressed clusters than ${this.#layout.fileBytes} bytes can hold`);
  }
}
