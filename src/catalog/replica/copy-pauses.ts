const MIN_MS = 1000;
const MAX_MS = 60_000;
/** A copy that was in use for so long is not the cause of what comes next. */
const PROVEN_MS = 60_000;

/** The pauses before copies: none before the first; longer and longer ones before those that follow a bad one. */
export class CopyPauses {
  #nextMs = 0;
  #usedAtMs = Number.NEGATIVE_INFINITY;

  /** A copy is in use. */
  used(): void {
    this.#usedAtMs = performance.now();
  }

  /** The copy in use has to be replaced. */
  spoiled(): void {
    if (performance.now() - this.#usedAtMs > PROVEN_MS) this.#nextMs = 0;
  }

  /** Milliseconds to wait before the next copy. */
  next(): number {
    const pauseMs = this.#nextMs;
    this.#nextMs = Math.min(Math.max(pauseMs * 2, MIN_MS), MAX_MS);
    return pauseMs;
  }
}
