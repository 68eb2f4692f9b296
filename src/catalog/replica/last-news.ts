import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { ReplicaLog } from './replica-log.js';
import { messageOf } from './sync-failure.js';

const SAVE_EVERY_MS = 5000;
/** A record fills this, so that it is written over the one before in one sector. */
const RECORD_BYTES = 64;

/**
 * How long ago the copy in use had its last news, also over restarts.
 *
 *   replica.news: {"ageMs":A,"atMs":T} and blanks, 64 bytes: at T by the clock the age was A. Written in place each 5 s, without
 *   a flush: a lost record makes the age greater, never smaller.
 *
 * A start adds the time since T. A clock that went back between the two counts as much as one that went on: whatever is wrong,
 * the copy is not taken for newer than it is because of it. While the node runs, the monotonic clock counts alone.
 */
export class LastNews {
  readonly #file: FileHandle | undefined;
  readonly #log: ReplicaLog;
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;
  #ageMs: number | null = null;
  /** When the age was that, by performance.now(). */
  #sinceMs = 0;
  #work: Promise<void> = Promise.resolve();
  #failing = false;

  private constructor(file: FileHandle | undefined, log: ReplicaLog, clock: () => number) {
    this.#file = file;
    this.#log = log;
    this.#clock = clock;
    this.#timer = setInterval(() => this.#saveSoon(), SAVE_EVERY_MS);
    this.#timer.unref();
  }

  /** Reads the record at the path. What cannot be read is not known; what cannot be written is logged. */
  static async open(path: string, log: ReplicaLog, clock: () => number = Date.now): Promise<LastNews> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o640);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(RECORD_BYTES), 0, RECORD_BYTES, 0);
      const news = new LastNews(file, log, clock);
      news.#take(buffer.toString('utf8', 0, bytesRead));
      return news;
    } catch (error) {
      log.warn({ problem: messageOf(error) }, 'catalog: the age of the copy cannot be kept over restarts');
      return new LastNews(file, log, clock);
    }
  }

  /** The age now, in milliseconds; null: not known. */
  ageMs(): number | null {
    return this.#ageMs === null ? null : this.#ageMs + (performance.now() - this.#sinceMs);
  }

  /** News came, at this time by performance.now(). */
  came(atMs: number): void {
    const first = this.#ageMs === null;
    this.#ageMs = 0;
    this.#sinceMs = atMs;
    if (first) this.#saveSoon();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#saveSoon();
    await this.#work;
    await this.#file?.close();
  }

  #take(text: string): void {
    const record = recordOf(text);
    if (record === undefined) return;
    this.#ageMs = record.ageMs + Math.abs(this.#clock() - record.atMs);
    this.#sinceMs = performance.now();
  }

  #saveSoon(): void {
    this.#work = this.#work.then(() => this.#save());
  }

  async #save(): Promise<void> {
    const ageMs = this.ageMs();
    if (ageMs === null || this.#file === undefined) return;
    const record = JSON.stringify({ ageMs: Math.round(ageMs), atMs: Math.round(this.#clock()) });
    try {
      await this.#file.write(record.padEnd(RECORD_BYTES), 0);
      this.#failing = false;
    } catch (error) {
      // Once for a row of the same: a disk may be full for days.
      if (!this.#failing) this.#log.warn({ problem: messageOf(error) }, 'catalog: the age of the copy was not written');
      this.#failing = true;
    }
  }
}

/** When the copy was last known to be complete, by the clock of that time in milliseconds since 1970, as the record says. */
export function completeAtMs(text: string): number | undefined {
  const record = recordOf(text);
  return record === undefined ? undefined : record.atMs - record.ageMs;
}

function recordOf(text: string): { readonly ageMs: number; readonly atMs: number } | undefined {
  const match = /^\{"ageMs":(\d{1,15}),"atMs":(\d{1,15})\}\s*$/.exec(text);
  return match === null ? undefined : { ageMs: Number(match[1]), atMs: Number(match[2]) };
}
