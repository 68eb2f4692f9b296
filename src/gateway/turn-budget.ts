/** A request that comes after so much time of its turn waits for a later one. */
const BUDGET_MS = 5;

/**
 * Spreads requests that arrive together over turns of the event loop. Node reads every ready connection in one turn, so that
 * 200 uploads which begin at once would hold up everyone else for as long as all their first steps take.
 */
export class TurnBudget {
  /** When the first request of this turn came; undefined: none came yet. */
  #startMs: number | undefined;
  readonly #waiting: (() => void)[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** True when the request may go on at once; else it waits for `turn`. */
  admits(): boolean {
    const nowMs = this.#nowMs();
    if (this.#startMs === undefined) {
      this.#startMs = nowMs;
      setImmediate(this.#nextTurn);
    }
    return this.#waiting.length === 0 && nowMs - this.#startMs < BUDGET_MS;
  }

  /** Resolves in a turn that has time left, first come, first served. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  readonly #nextTurn = (): void => {
    this.#startMs = this.#waiting.length > 0 ? this.#nowMs() : undefined;
    this.#goOn();
  };

  /** Starts those that wait, one after the other's promises have run, until the turn's time is used up. */
  readonly #goOn = (): void => {
    if (this.#startMs === undefined) return;
    if (this.#waiting.length === 0 || this.#nowMs() - this.#startMs >= BUDGET_MS) {
      setImmediate(this.#nextTurn);
      return;
    }
    this.#waiting.shift()?.();
    // Ticks come after all promises that are ready.
    queueMicrotask(() => process.nextTick(this.#goOn));
  };
}
