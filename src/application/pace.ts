import type { Timer } from './ports/clock.js';

/** Less is not worth a wait. */
const SHORTEST_WAIT_MS = 5;

/** Waits that end early when the signal fires, and a bound on bytes a second. */
export class Pace {
  readonly #timer: Timer;
  readonly #bytesPerSecond: number;
  readonly #signal: AbortSignal;
  #nextMs = 0;

  constructor(timer: Timer, options: { readonly bytesPerSecond: number; readonly signal: AbortSignal }) {
    this.#timer = timer;
    this.#bytesPerSecond = options.bytesPerSecond;
    this.#signal = options.signal;
  }

  /** Waits until more may be read after so many bytes. Rejects with the signal's reason. */
  async take(bytes: number): Promise<void> {
    const nowMs = this.#timer.elapsedMs();
    this.#nextMs = Math.max(this.#nextMs, nowMs) + (bytes / this.#bytesPerSecond) * 1000;
    const waitMs = this.#nextMs - nowMs;
    if (waitMs >= SHORTEST_WAIT_MS) await this.sleep(waitMs);
  }

  /** Rejects with the signal's reason, at once when it fires. */
  async sleep(ms: number): Promise<void> {
    this.#signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const ended = (): void => {
        cancel();
        reject(this.#signal.reason instanceof Error ? this.#signal.reason : new Error('ended'));
      };
      const cancel = this.#timer.schedule(() => {
        this.#signal.removeEventListener('abort', ended);
        resolve();
      }, ms);
      this.#signal.addEventListener('abort', ended, { once: true });
    });
  }
}
