import type { Timer } from './ports/clock.js';

/** Each looks at once, on the event loop: a thousand in a row would hold up everybody else. */
const WOKEN_A_TURN = 16;

/** Wakes all who wait for the same thing. */
export class Bell {
  readonly #timer: Timer;
  readonly #waiting = new Set<() => void>();
  #rings = 0;

  constructor(timer: Timer) {
    this.#timer = timer;
  }

  /** How often it has rung: who looks, notes this before. */
  get rings(): number {
    return this.#rings;
  }

  ring(): void {
    this.#rings += 1;
    this.#wake([...this.#waiting]);
  }

  #wake(waiting: readonly (() => void)[]): void {
    for (const wake of waiting.slice(0, WOKEN_A_TURN)) wake();
    if (waiting.length > WOKEN_A_TURN) this.#timer.schedule(() => this.#wake(waiting.slice(WOKEN_A_TURN)), 0);
  }

  /**
   * Resolves when it rings, after the time, or when the signal fires; at once when it has rung since it was at `rings`. Without
   * `rings` it is another turn of the event loop at the earliest.
   */
  wait(rings: number | undefined, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || (rings !== undefined && rings !== this.#rings)) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const cancel = this.#timer.schedule(wake, Math.max(0, timeoutMs));
      signal.addEventListener('abort', wake);
      this.#waiting.add(wake);
    });
  }
}
