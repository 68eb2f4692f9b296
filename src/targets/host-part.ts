import type { FileHandle } from 'node:fs/promises';
import type { ByteRange } from '../application/ports/image-store.js';
import type { PartialFile } from '../application/ports/target-files.js';
import { wrapFsError, wrappingFsErrors } from '../hostfs/fs-error.js';
import { readAhead } from '../hostfs/read-ahead.js';
import { SparseWriter } from '../hostfs/sparse-writer.js';

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

  async *read(range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readAhead(this.#file, range, signal);
    } catch (error) {
      throw wrapFsError(error, this.#doing);
    }
  }

  async startAt(offsetBytes: number, { flush }: { readonly flush: boolean }): Promise<void> {
    await wrappingFsErrors(this.#doing, () => this.#file.truncate(offsetBytes));
    this.#writer = new SparseWriter(this.#file, { sizeBytes: offsetBytes, flushes: flush });
  }

  write(chunk: Uint8Array): Promise<void> {
    return wrappingFsErrors(this.#doing, () => this.#writer.write(chunk));
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
