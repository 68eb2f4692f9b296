import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ByteRange } from '../application/ports/image-store.js';
import type { PartialFile } from '../application/ports/target-files.js';
import { UNIT_BYTES } from '../base/units.js';
import { wrapFsError, wrappingFsErrors } from '../hostfs/fs-error.js';
import { readAhead } from '../hostfs/read-ahead.js';
import { SparseWriter } from '../hostfs/sparse-writer.js';

/** Ranges that are copied at a time: the reads of some go beside the writes of others. */
const COPIES_AT_A_TIME = 3;

/** The partial file of a target. */
export class HostPart implements PartialFile {
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  readonly #doing: string;
  #writer: SparseWriter;

  private constructor(file: FileHandle, sizeBytes: number, doing: string) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.#doing = doing;
    this.#writer = new SparseWriter(file, { sizeBytes });
  }

  /** Takes over the file; `path` is for messages. */
  static async of(file: FileHandle, path: string): Promise<HostPart> {
    return new HostPart(file, (await file.stat()).size, `${path}: writing`);
  }

  get endBytes(): number {
    return this.#writer.sizeBytes;
  }

  async *read(range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readAhead(this.#file, range, signal);
    } catch (error) {
      throw wrapFsError(error, this.#doing);
    }
  }

  async startAt(offsetBytes: number, { flush }: { readonly flush: boolean }): Promise<void> {
    await this.#writer.settle();
    await wrappingFsErrors(this.#doing, () => this.#file.truncate(offsetBytes));
    this.#writer = new SparseWriter(this.#file, { sizeBytes: offsetBytes, flushes: flush });
  }

  write(chunk: Uint8Array): Promise<void> {
    return wrappingFsErrors(this.#doing, () => this.#writer.write(chunk));
  }

  async copyFrom(
    fileUrl: string,
    ranges: Iterable<ByteRange>,
    accepts: (bytes: Uint8Array, range: ByteRange) => boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
    const source = await open(fileURLToPath(fileUrl), flags).catch(() => undefined);
    if (source === undefined) return false;
    try {
      const rest = ranges[Symbol.iterator]();
      let accepted = true;
      const copy = async (): Promise<void> => {
        const buffer = Buffer.allocUnsafeSlow(UNIT_BYTES);
        for (let next = rest.next(); next.done !== true && accepted; next = rest.next()) {
          signal.throwIfAborted();
          const bytes = await readRange(source, buffer, next.value);
          if (bytes !== undefined && accepts(bytes, next.value))
            await this.#writer.writeAt(bytes, next.value.offsetBytes);
          else accepted = false;
        }
      };
      const ends = await Promise.allSettled(Array.from({ length: COPIES_AT_A_TIME }, copy));
      for (const end of ends) if (end.status === 'rejected') throw wrapFsError(end.reason, this.#doing);
      return accepted;
    } finally {
      await source.close();
    }
  }

  skip(lengthBytes: number): void {
    this.#writer.skip(lengthBytes);
  }

  end(): Promise<void> {
    return wrappingFsErrors(this.#doing, () => this.#writer.end());
  }

  async close(): Promise<void> {
    await this.#writer.settle();
    await this.#file.close();
  }
}

/** The bytes of the range; undefined when they cannot be read. */
async function readRange(file: FileHandle, buffer: Buffer, range: ByteRange): Promise<Buffer | undefined> {
  try {
    const { bytesRead } = await file.read(buffer, 0, range.lengthBytes, range.offsetBytes);
    return bytesRead === range.lengthBytes ? buffer.subarray(0, bytesRead) : undefined;
  } catch {
    return undefined;
  }
}
