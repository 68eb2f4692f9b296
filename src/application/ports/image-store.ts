/** The store port: opaque objects by key. Images and their maps are objects alike. */
import type { ObjectKey, StoreId } from '../../base/brand.js';

export interface PutOptions {
  /** Aborting removes what was written; `put` rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** The size announced, used to refuse early (LIMIT_EXCEEDED) when it cannot fit. */
  readonly expectedSizeBytes?: number;
}

export interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** An object as a store lists it. */
export interface StoredObject {
  readonly key: ObjectKey;
  /** When it was written last, in milliseconds since 1970. */
  readonly modifiedAtMs: number;
}

export interface Capacity {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export type StoreType = 'file' | 'http' | 's3' | 'swift';

export interface ImageStore {
  readonly id: StoreId;
  readonly type: StoreType;
  /**
   * Stores an object and publishes it at once: either the whole object is readable and durable when the promise resolves,
   * or nothing is left. Pulls one chunk at a time; a chunk is not read after the next one was asked for.
   * LIMIT_EXCEEDED: no room. ALREADY_EXISTS: the key is taken. UNAVAILABLE: the store refuses, or does not answer.
   * UPSTREAM_FAILED: it answers what it must not.
   */
  put(key: ObjectKey, source: AsyncIterable<Uint8Array>, options: PutOptions): Promise<{ readonly sizeBytes: number }>;
  /**
   * Reads a range in chunks of at most 1 MiB. A chunk's memory may be overwritten once the next chunk is asked for.
   * NOT_FOUND: no such object. RANGE_INVALID: outside the object. DATA_CORRUPT: the object is shorter than it was, or another.
   * UNAVAILABLE and UPSTREAM_FAILED as for `put`.
   */
  read(key: ObjectKey, range: ByteRange, options: { readonly signal?: AbortSignal }): AsyncIterable<Uint8Array>;
  stat(key: ObjectKey): Promise<{ readonly sizeBytes: number } | undefined>;
  /** A text that is another one once the bytes of the object may be others. Absent: the store cannot tell. */
  versionOf?(key: ObjectKey): Promise<string | undefined>;
  /** Removes an object; false when there was none. Removes what an interrupted `put` of this key left, too. */
  delete(key: ObjectKey): Promise<boolean>;
  /**
   * The objects of the store whose keys are of the form of ours, in no order; what else lies there is passed over. Absent: the store
   * may be shared with others, or does not list.
   */
  list?(): AsyncIterable<StoredObject>;
  /** undefined: the store does not say how much fits; a put finds out. */
  capacity(): Promise<Capacity | undefined>;
  /** Rejects with UNAVAILABLE, saying why, when the store cannot take or give data. */
  check(): Promise<void>;
  /** Which server has the object, as a name. Absent: all are in the same place. */
  sourceOf?(key: ObjectKey): string | undefined;
  /** The URL of an object for those who may see locations, without credentials. */
  url(key: ObjectKey): string;
  /**
   * A URL by which anyone reads the object until it expires, signed with a key of the store; it is the same for a while. undefined:
   * none can be made now. Absent: the store makes none.
   */
  directUrl?(key: ObjectKey, nowMs: number): string | undefined;
}
