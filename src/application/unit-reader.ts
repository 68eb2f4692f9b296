import { UNIT_BYTES } from '../base/units.js';

/** Units that are kept. */
const KEPT_UNITS = 16;
/** So many units ahead are read rather than skipped: to open the data anew costs more. */
const READ_ON_UNITS = 4;

/** Opens the data from an offset, which is that of a unit, to its end, in units of 1 MiB. */
export type OpenUnits = (offsetBytes: number, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;

/**
 * Reads anywhere in data that comes as a stream of units: one stream is open and read on as long as what is wanted lies ahead, and
 * the last units are kept. One read at a time; 16 MiB of memory.
 */
export class UnitReader {
  readonly #open: OpenUnits;
  readonly #sizeBytes: number;
  /** By index, the least recently used first. */
  readonly #kept = new Map<number, Uint8Array>();
  #stream: { readonly units: AsyncIterator<Uint8Array>; readonly stop: AbortController; nextIndex: number } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(open: OpenUnits, sizeBytes: number) {
    this.#open = open;
    this.#sizeBytes = sizeBytes;
  }

  /** These bytes, in memory of their own; fewer at the end of the data. */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    const mine = this.#turn.then(() => this.#read(offsetBytes, lengthBytes));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** Ends the stream that is open. */
  async close(): Promise<void> {
    await this.#turn;
    this.#stream?.stop.abort();
    await this.#stream?.units.return?.();
    this.#stream = undefined;
  }

  async #read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    const endBytes = Math.min(this.#sizeBytes, offsetBytes + lengthBytes);
    const bytes = new Uint8Array(Math.max(0, endBytes - offsetBytes));
    for (let at = offsetBytes; at < endBytes; ) {
      const index = Math.floor(at / UNIT_BYTES);
      const unit = await this.#unit(index);
      const part = unit.subarray(at - index * UNIT_BYTES, endBytes - index * UNIT_BYTES);
      bytes.set(part, at - offsetBytes);
      at += part.length;
    }
    return bytes;
  }

  async #unit(index: number): Promise<Uint8Array> {
    const kept = this.#kept.get(index);
    if (kept !== undefined) {
      this.#kept.delete(index);
      this.#kept.set(index, kept);
      return kept;
    }
    const ahead = this.#stream === undefined ? -1 : index - this.#stream.nextIndex;
    if (ahead < 0 || ahead > READ_ON_UNITS) await this.#reopen(index);
    for (;;) {
      const stream = this.#stream;
      const next = await stream?.units.next();
      if (stream === undefined || next === undefined || next.done === true)
        throw new Error(`the data ended before unit ${index}`);
      const unit = new Uint8Array(next.value);
      this.#keep(stream.nextIndex, unit);
      stream.nextIndex += 1;
      if (stream.nextIndex > index) return unit;
    }
  }

  async #reopen(index: number): Promise<void> {
    this.#stream?.stop.abort();
    await this.#stream?.units.return?.();
    this.#stream = undefined;
    const stop = new AbortController();
    const units = await this.#open(index * UNIT_BYTES, stop.signal);
    this.#stream = { units: units[Symbol.asyncIterator](), stop, nextIndex: index };
  }

  #keep(index: number, unit: Uint8Array): void {
    this.#kept.set(index, unit);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_UNITS) return;
      this.#kept.delete(oldest);
    }
  }
}
