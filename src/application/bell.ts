import type { Timer } from './ports/clock.js';

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
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves when it rings, after the time, or when the signal fires; at once when it has rung since it was at `rings`. */
  wait(rings: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || rings !== this.#rings) return Promise.resolve();
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
