import type { ByteRange } from './image-store.js';

/** A range of at most 1 MiB that has the same place in both files. */
export interface CopiedUnit extends ByteRange {
  /** BLAKE3 that the bytes must have; null: whatever they are. */
  readonly digest: Uint8Array | null;
}

/** What is done, in order, up to the first unit that is not what it should be. */
export interface CopiedUnits {
  readonly count: number;
  /** Without the zeros that were left out. */
  readonly writtenBytes: number;
}

/**
 * Copies between files of this host, away from the event loop. Implemented in `workers/copy` by a pool of threads.
 */
export interface UnitCopier {
  /** Batches that are worth giving at a time. */
  readonly atATime: number;
  /**
   * Copies the units from one open file to another, by their descriptors, which must stay open; pieces of zeros become holes of a
   * file that had nothing there. A unit that cannot be read whole is not what it should be. Errors are those of the system calls
   * that write. The batch should be small, since it cannot be stopped.
   */
  copy(from: number, to: number, units: readonly CopiedUnit[]): Promise<CopiedUnits>;
  close(): Promise<void>;
}
