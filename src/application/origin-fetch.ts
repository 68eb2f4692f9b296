/**
 * One run of units on its way from where the data lies, for all who wait for them.
 *
 *   fetching --far enough ahead of the fastest reader--> paused --a reader comes closer--> fetching
 *   paused --nobody wants more for a while--> ended; whoever wants more begins another one
 *   fetching or paused --the next unit is there already, the run is over, it fails, all readers leave--> ended
 */
import { UNIT_BYTES } from '../base/units.js';
import type { ReadingWay } from './location-order.js';
import { type ReadingContext, readLocations, type WantedData } from './read-locations.js';

/** Units that are fetched ahead of the fastest reader. */
const AHEAD_UNITS = 8;
/** Units that are being written; a disk that is further behind holds the run back. */
const WRITING_UNITS = 4;
/** Each sends its unit at once, on the event loop: a hundred in a row would hold up everybody else. */
const GIVEN_A_TURN = 16;
/** A run that is paused holds a connection. */
const PAUSE_MS = 5000;

export interface FetchTarget {
  /** Takes a unit, whose memory is its own. Never rejects. */
  keep(unitIndex: number, unit: Uint8Array): Promise<void>;
  has(unitIndex: number): boolean;
}

interface FetchRun {
  readonly order: readonly ReadingWay[];
  readonly wanted: Pick<WantedData, 'image' | 'data' | 'map'>;
  readonly firstUnit: number;
  /** Behind the last one. */
  readonly endUnit: number;
}

interface Waiter {
  readonly resolve: (unit: Uint8Array | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class OriginFetch {
  readonly #context: ReadingContext;
  readonly #run: FetchRun;
  readonly #target: FetchTarget;
  readonly #stop = new AbortController();
  readonly #waiting = new Map<number, Waiter[]>();
  #nextUnit: number;
  /** Behind the last unit that is wanted. */
  #wantedEnd: number;
  readonly #writing: Promise<void>[] = [];
  #wake: () => void = () => undefined;
  #hasEnded = false;
  /** Resolves when it has ended and all that came is written. */
  readonly ended: Promise<void>;

  constructor(context: ReadingContext, run: FetchRun, target: FetchTarget) {
    this.#context = context;
    this.#run = run;
    this.#target = target;
    this.#nextUnit = run.firstUnit;
    this.#wantedEnd = run.firstUnit + 1;
    this.ended = this.#fetch();
  }

  /** Whether the unit will come, and soon. */
  covers(unitIndex: number): boolean {
    const comes = unitIndex >= this.#nextUnit && unitIndex < this.#run.endUnit;
    return comes && !this.#hasEnded && !this.#stop.signal.aborted && unitIndex < this.#nextUnit + AHEAD_UNITS;
  }

  /** Says that a reader is at the unit and reads up to the end. One who is far ahead of the run waits for another one. */
  want(unitIndex: number, endUnit: number): void {
    if (unitIndex >= this.#nextUnit + AHEAD_UNITS) return;
    this.#wantedEnd = Math.max(this.#wantedEnd, Math.min(unitIndex + 1 + AHEAD_UNITS, endUnit));
    this.#wake();
  }

  /** Waits for a unit that is covered. undefined: the run ended before. Fails as readLocations does. */
  unit(unitIndex: number): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(unitIndex, [...(this.#waiting.get(unitIndex) ?? []), { resolve, reject }]);
    });
  }

  /** Ends it: nobody reads any more. */
  stop(): void {
    this.#stop.abort();
    this.#wake();
  }

  async #fetch(): Promise<void> {
    try {
      const { order, wanted, firstUnit, endUnit } = this.#run;
      const offsetBytes = firstUnit * UNIT_BYTES;
      const lengthBytes = Math.min(endUnit * UNIT_BYTES, wanted.data.sizeBytes) - offsetBytes;
      const range = { offsetBytes, lengthBytes };
      const units = await readLocations(this.#context, order, { ...wanted, range, signal: this.#stop.signal });
      for await (const unit of units) {
        await this.#came(Buffer.from(unit));
        if (this.#target.has(this.#nextUnit) || !(await this.#isWanted())) return;
      }
    } catch (error) {
      this.#hasEnded = true;
      if (!this.#stop.signal.aborted) for (const { reject } of this.#waiters()) reject(error);
    } finally {
      this.#hasEnded = true;
      for (const { resolve } of this.#waiters()) resolve(undefined);
      await Promise.all(this.#writing);
    }
  }

  async #came(unit: Uint8Array): Promise<void> {
    const unitIndex = this.#nextUnit;
    this.#nextUnit += 1;
    this.#writing.push(this.#target.keep(unitIndex, unit));
    const waiters = this.#waiting.get(unitIndex) ?? [];
    this.#waiting.delete(unitIndex);
    this.#give(unit, waiters);
    if (this.#writing.length > WRITING_UNITS) await this.#writing.shift();
  }

  #give(unit: Uint8Array, waiters: readonly Waiter[]): void {
    for (const { resolve } of waiters.slice(0, GIVEN_A_TURN)) resolve(unit);
    const rest = waiters.slice(GIVEN_A_TURN);
    if (rest.length > 0) this.#context.timer.schedule(() => this.#give(unit, rest), 0);
  }

  async #isWanted(): Promise<boolean> {
    const { timer } = this.#context;
    const untilMs = timer.elapsedMs() + PAUSE_MS;
    while (this.#nextUnit >= this.#wantedEnd && !this.#stop.signal.aborted) {
      const leftMs = untilMs - timer.elapsedMs();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const cancel = timer.schedule(resolve, leftMs);
        this.#wake = () => {
          cancel();
          resolve();
        };
      });
    }
    return !this.#stop.signal.aborted;
  }

  #waiters(): readonly Waiter[] {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    return all;
  }
}
