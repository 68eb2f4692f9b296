import type { Clock } from './ports/clock.js';

/** The share of the newest measurement in the average. */
const NEWEST = 0.3;
/** A source that was not measured for so long is taken for fast again, so that it is tried. */
const REMEMBERED_MS = 300_000;
const REMEMBERED_MAX = 1000;

/** How soon each store and node begins to give data: a moving average of the time to the first unit. */
export class SourceLatency {
  readonly #clock: Clock;
  readonly #sources = new Map<string, { readonly averageMs: number; readonly notedAtMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  note(source: string, tookMs: number): void {
    const before = this.#known(source);
    const averageMs = before === undefined ? tookMs : before + NEWEST * (tookMs - before);
    this.#sources.delete(source);
    this.#sources.set(source, { averageMs, notedAtMs: this.nowMs });
    const [oldest] = this.#sources.keys();
    if (this.#sources.size > REMEMBERED_MAX && oldest !== undefined) this.#sources.delete(oldest);
  }

  /** How slow the source is: 0, not known or below 10 ms; each step is twice as slow, so that small differences decide nothing. */
  slowness(source: string): number {
    const averageMs = this.#known(source) ?? 0;
    return averageMs < 10 ? 0 : 1 + Math.floor(Math.log2(averageMs / 10));
  }

  #known(source: string): number | undefined {
    const known = this.#sources.get(source);
    return known === undefined || this.nowMs - known.notedAtMs > REMEMBERED_MS ? undefined : known.averageMs;
  }
}
