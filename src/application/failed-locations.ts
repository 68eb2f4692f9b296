import type { Clock } from './ports/clock.js';

/** So long a location that failed is tried last. */
const REMEMBERED_MS = 60_000;
const REMEMBERED_MAX = 1000;

/** Which locations, ways to them or stores failed a short while ago, by name; the oldest go when there are many. */
export class FailedLocations {
  readonly #clock: Clock;
  readonly #untilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(id: string): void {
    this.#untilMs.delete(id);
    this.#untilMs.set(id, this.#clock.nowMs() + REMEMBERED_MS);
    const [oldest] = this.#untilMs.keys();
    if (this.#untilMs.size > REMEMBERED_MAX && oldest !== undefined) this.#untilMs.delete(oldest);
  }

  /** It is well again. */
  forget(id: string): void {
    this.#untilMs.delete(id);
  }

  has(id: string): boolean {
    const untilMs = this.#untilMs.get(id);
    if (untilMs === undefined) return false;
    if (untilMs > this.#clock.nowMs()) return true;
    this.#untilMs.delete(id);
    return false;
  }
}
