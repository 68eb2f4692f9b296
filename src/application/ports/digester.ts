/** Digests of a stream while it passes. Implemented in `workers/digest` by long-lived threads. */
export interface Digests {
  readonly sizeBytes: number;
  /** MD5, lower-case hex. */
  readonly checksum: string;
  /** Digest by the session's algorithm, lower-case hex. */
  readonly osHashValue: string;
  /** BLAKE3 of each unit of 1 MiB (the last may be shorter), 32 bytes each, in order. */
  readonly unitDigests: Uint8Array;
  /** One byte a unit: 1 when the unit is all zero. */
  readonly unitIsZero: Uint8Array;
}

export interface DigestSession {
  /**
   * Passes the source through in units of exactly 1 MiB (the last may be shorter). A unit's memory may be overwritten once
   * the next one is asked for. At most 4 units are in memory; the source is not pulled faster than the consumer takes.
   */
  units(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** After `units` ended: waits for the digests. */
  finish(): Promise<Digests>;
  /** Gives up the session and its memory; harmless after finish. */
  abort(): void;
}

export interface Digester {
  /** Opens a session; INVALID_ARGUMENT when the algorithm is unknown. */
  open(osHashAlgo: string): DigestSession;
  close(): Promise<void>;
}
