import type { FileHandle } from 'node:fs/promises';
import { MIB } from '../base/units.js';
import { flushInTurn } from './flush-turns.js';
import { dataRunsOf } from './sparse-runs.js';

/** After so many written bytes a flush starts in the background, so that the end is not one long fsync. */
const FLUSH_EVERY_BYTES = 32 * MIB;

/**
 * Writes a stream to the end of a file and leaves pieces of zeros out: what was never written reads as zero. Errors are those of
 * the system calls.
 */
export class SparseWriter {
  readonly #file: FileHandle;
  readonly #flushes: boolean;
  #sizeBytes: number;
  #unflushedBytes = 0;
  #flush: Promise<void> | undefined;
  #flushError: Error | undefined;

  /** The file ends at `sizeBytes`. With `flushes` false nothing is flushed but by `finish`. */
  constructor(file: FileHandle, { sizeBytes = 0, flushes = true } = {}) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#flushes = flushes;
  }

  /** Bytes of the file so far, zeros included. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Appends the chunk; its memory is free again when the promise resolves. */
  async write(chunk: Uint8Array): Promise<void> {
    const offsetBytes = this.#sizeBytes;
    for (const { start, end } of dataRunsOf(chunk, offsetBytes))
      await this.#writeAt(chunk.subarray(start, end), offsetBytes + start);
    this.#sizeBytes += chunk.length;
    await this.#flushWhenDue();
  }

  /** Counts what somebody else wrote to the file; it then ends at `endBytes` or behind. */
  async wrote(lengthBytes: number, endBytes: number): Promise<void> {
    this.#unflushedBytes += lengthBytes;
    this.#sizeBytes = Math.max(this.#sizeBytes, endBytes);
    await this.#flushWhenDue();
  }

  async #flushWhenDue(): Promise<void> {
    if (this.#flushes && this.#unflushedBytes >= FLUSH_EVERY_BYTES) await this.#flushBehind();
  }

  /** Appends so many zeros. */
  skip(lengthBytes: number): void {
    this.#sizeBytes += lengthBytes;
  }

  /** Sets the size and makes everything durable. */
  async finish(): Promise<void> {
    await this.end();
    await flushInTurn(() => this.#file.sync());
  }

  /** Sets the size. */
  async end(): Promise<void> {
    await this.#flush;
    if (this.#flushError !== undefined) throw this.#flushError;
    await this.#file.truncate(this.#sizeBytes);
  }

  /** Waits until no flush uses the file any more; for a writer that is given up. */
  async settle(): Promise<void> {
    await this.#flush;
  }

  async #writeAt(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const result = await this.#file.write(bytes, written, bytes.length - written, offsetBytes + written);
      written += result.bytesWritten;
    }
    this.#unflushedBytes += bytes.length;
  }

  /**
   * Starts a flush and goes on; only a disk that is a whole interval behind makes the stream wait. Thus at most two
   * intervals are dirty, and a failed flush shows at the next one or at the end.
   */
  async #flushBehind(): Promise<void> {
    await this.#flush;
    if (this.#flushError !== undefined) throw this.#flushError;
    // Another write that waited may have begun one.
    if (this.#unflushedBytes < FLUSH_EVERY_BYTES) return;
    this.#unflushedBytes = 0;
    this.#flush = flushInTurn(() => this.#file.datasync()).catch((error: unknown) => {
      this.#flushError = error instanceof Error ? error : new Error('flush failed', { cause: error });
    });
  }
}
