/** Time and chance, handed in so that tests decide them. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
}

export interface IdSource {
  /** A random UUID, version 4. */
  uuid(): string;
}

/** Time that passes, whatever the clock is set to. */
export interface Timer {
  /** Milliseconds since some moment; never goes back. */
  elapsedMs(): number;
  /** Calls `wake` once after so long; returns what prevents that. */
  schedule(wake: () => void, delayMs: number): () => void;
}
