import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ByteRange } from '../application/ports/image-store.js';
import type { CopyOptions, PartialFile } from '../application/ports/target-files.js';
import type { CopiedUnit, UnitCopier } from '../application/ports/unit-copier.js';
import { wrapFsError, wrappingFsErrors } from '../hostfs/fs-error.js';
import { readAhead } from '../hostfs/read-ahead.js';
import { SparseWriter } from '../hostfs/sparse-writer.js';

/** A thread gets so many units at a time: long enough that the way to it is nothing, short enough to be told of and stopped. */
const BATCH_UNITS = 32;

/** The partial file of a target. */
export class HostPart implements PartialFile {
  readonly sizeBytes: number;
  readonly #file: FileHandle;
  readonly #doing: string;
  readonly #copier: UnitCopier;
  #writer: SparseWriter;

  private constructor(file: FileHandle, sizeBytes: number, { doing, copier }: { doing: string; copier: UnitCopier }) {
    this.#file = file;
    this.#copier = copier;
    this.sizeBytes = sizeBytes;
    this.#doing = doing;
    this.#writer = new SparseWriter(file, { sizeBytes });
  }

  /** Takes over the file; `path` is for messages. */
  static async of(file: FileHandle, path: string, copier: UnitCopier): Promise<HostPart> {
    return new HostPart(file, (await file.stat()).size, { doing: `${path}: writing`, copier });
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
    await wrappingFsErrors(this.#doing, async () => {
      // A file that was cut to nothing, if only from nothing, is on its way to the disk as soon as ext4 sees it closed (auto_da_alloc).
      if ((await this.#file.stat()).size !== offsetBytes) await this.#file.truncate(offsetBytes);
    });
    this.#writer = new SparseWriter(this.#file, { sizeBytes: offsetBytes, flushes: flush });
  }

  write(chunk: Uint8Array): Promise<void> {
    return wrappingFsErrors(this.#doing, () => this.#writer.write(chunk));
  }

  async copyFrom(fileUrl: string, units: Iterable<CopiedUnit>, { copied, signal }: CopyOptions): Promise<boolean> {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
    const source = await open(fileURLToPath(fileUrl), flags).catch(() => undefined);
    if (source === undefined) return false;
    try {
      const batches = batchesOf(units);
      let accepted = true;
      let stopped = false;
      const copyBatch = async (batch: readonly CopiedUnit[]): Promise<void> => {
        signal.throwIfAborted();
        const { count, writtenBytes } = await this.#copier.copy(source.fd, this.#file.fd, batch);
        const done = batch.slice(0, count);
        if (count < batch.length) accepted = false;
        const last = done.at(-1);
        if (last !== undefined) await this.#writer.wrote(writtenBytes, last.offsetBytes + last.lengthBytes);
        copied(done);
      };
      const copy = async (): Promise<void> => {
        try {
          for (let next = batches.next(); next.done !== true && accepted && !stopped; next = batches.next())
            await copyBatch(next.value);
        } catch (error) {
          stopped = true;
          throw error;
        }
      };
      const ends = await Promise.allSettled(Array.from({ length: this.#copier.atATime }, copy));
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

function* batchesOf(units: Iterable<CopiedUnit>): Generator<readonly CopiedUnit[], void, undefined> {
  let batch: CopiedUnit[] = [];
  for (const unit of units) {
    batch.push(unit);
    if (batch.length < BATCH_UNITS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
