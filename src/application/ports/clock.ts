/** Time and chance, handed in so that tests decide them. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
}

export interface IdSource {
  /** A random UUID, version 4. */
  uuid(): string;
}
