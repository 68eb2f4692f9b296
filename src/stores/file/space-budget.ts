import { statfs } from 'node:fs/promises';
import type { Capacity } from '../../application/ports/image-store.js';
import { ServiceError } from '../../base/service-error.js';
import { MIB } from '../../base/units.js';

/** Kept free by default, for the catalog and the system: a fiftieth of the file system, at most this. */
const MAX_DEFAULT_RESERVE_BYTES = 256 * MIB;

/** How much of one put is still to come; counted against the free space until it is closed. */
export interface SpaceClaim {
  /** What the put still expects to write. */
  outstandingBytes: number;
}

/** Watches the free space of a file system and what the running puts still need of it. */
export class SpaceBudget {
  readonly #path: string;
  readonly #reserveBytes: number | undefined;
  readonly #claims = new Set<SpaceClaim>();

  constructor(path: string, reserveBytes: number | undefined) {
    this.#path = path;
    this.#reserveBytes = reserveBytes;
  }

  /** Total size, and what is free beside the reserve. */
  async capacity(): Promise<Capacity> {
    const { blocks, bavail, bsize } = await statfs(this.#path);
    const totalBytes = blocks * bsize;
    const reserveBytes = this.#reserveBytes ?? Math.min(MAX_DEFAULT_RESERVE_BYTES, Math.floor(totalBytes / 50));
    return { totalBytes, freeBytes: Math.max(0, bavail * bsize - reserveBytes) };
  }

  /** Claims room for a put of this size (0: unknown); LIMIT_EXCEEDED when it cannot fit beside the running ones. */
  async claim(expectedSizeBytes: number): Promise<SpaceClaim> {
    const { freeBytes } = await this.capacity();
    let claimedBytes = 0;
    for (const claim of this.#claims) claimedBytes += claim.outstandingBytes;
    if (freeBytes <= 0 || expectedSizeBytes > freeBytes - claimedBytes) {
      throw new ServiceError(
        'LIMIT_EXCEEDED',
        `no room in the store: expected ${expectedSizeBytes} bytes, ${Math.max(0, freeBytes - claimedBytes)} are free`,
      );
    }
    const claim = { outstandingBytes: expectedSizeBytes };
    this.#claims.add(claim);
    return claim;
  }

  /** Fails with LIMIT_EXCEEDED once a running put has used up the free space; `writtenBytes` is for the message. */
  async checkWhileWriting(writtenBytes: number): Promise<void> {
    const { freeBytes } = await this.capacity();
    if (freeBytes > 0) return;
    throw new ServiceError('LIMIT_EXCEEDED', `no room left in the store after ${writtenBytes} bytes`);
  }

  release(claim: SpaceClaim): void {
    this.#claims.delete(claim);
  }
}
