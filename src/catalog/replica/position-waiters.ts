import type { Point } from '../../domain/position.js';
import { isReached } from '../../domain/position.js';

interface Waiter {
  readonly wanted: Point;
  readonly timer: NodeJS.Timeout;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Those who wait for a position. */
export class PositionWaiters {
  readonly #waiters = new Set<Waiter>();

  get size(): number {
    return this.#waiters.size;
  }

  /** Resolves when `settle` is told of the position; rejects with `late()` after the time. */
  async wait(wanted: Point, timeoutMs: number, late: () => Error): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(late());
      }, timeoutMs);
      const waiter: Waiter = { wanted, timer, resolve, reject };
      this.#waiters.add(waiter);
    });
  }

  settle(there: Point): void {
    for (const waiter of this.#waiters) {
      if (!isReached(there, waiter.wanted)) continue;
      this.#waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve();
    }
  }

  failAll(error: Error): void {
    for (const { timer, reject } of this.#waiters) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiters.clear();
  }
}
