/** The port of the node's cache: units of files whose data lies elsewhere, kept on a disk of this node. */
import type { ImageId } from '../../base/brand.js';

/** Which file it is. Other data has another map, so that nothing of an earlier file is ever read for it. */
export interface CachedIdentity {
  readonly imageId: ImageId;
  /** SHA-256 of the map of the file, which the catalog pins. */
  readonly mapSha256: string;
  readonly sizeBytes: number;
}

/** What is kept of an image. */
export interface CachedImage extends CachedIdentity {
  readonly cachedBytes: number;
  /** Reads that found their first unit. */
  readonly hits: number;
  /** Milliseconds since 1970. */
  readonly lastAccessedMs: number;
  /** Milliseconds since 1970. */
  readonly lastModifiedMs: number;
  /** It stays when room is needed. */
  readonly pinned: boolean;
  /** All of it is to be fetched. */
  readonly queued: boolean;
}

/** The units of one file, while somebody reads it. It goes on when the image is removed meanwhile, but keeps nothing new. */
export interface CachedFile {
  /** The image was taken out of the cache: nothing more of it is kept by way of this one. */
  readonly isRemoved: boolean;
  /** Whether the unit is there. */
  has(unitIndex: number): boolean;
  /** The unit as it lies there, unchecked; undefined: it is not there. UNAVAILABLE: the disk refuses. */
  read(unitIndex: number): Promise<Uint8Array | undefined>;
  /**
   * Keeps a unit; its memory is free again when the promise ends. LIMIT_EXCEEDED: there is no room, and nothing that may be
   * removed. UNAVAILABLE: the disk refuses.
   */
  write(unitIndex: number, unit: Uint8Array, isZero: boolean): Promise<void>;
  /** Forgets a unit that is not what it should be. */
  drop(unitIndex: number): void;
  /** Notes that somebody reads it, and whether the first unit was there. */
  accessed(isHit: boolean): void;
  /** Call once; nothing else may be called then, or be under way. */
  close(): Promise<void>;
}

export interface Pruned {
  readonly images: number;
  readonly bytes: number;
}

export interface ImageCache {
  readonly heldBytes: number;
  readonly maxBytes: number;
  /**
   * Opens what is kept of a file, which may be nothing yet. `map` is called for the bytes of the map when they are not kept.
   * LIMIT_EXCEEDED: the file is too large, or no room. UNAVAILABLE: the disk refuses.
   */
  open(identity: CachedIdentity, map: () => Uint8Array): Promise<CachedFile>;
  /** The bytes of a map that is kept, unchecked. */
  map(mapSha256: string): Promise<Uint8Array | undefined>;
  /** What is kept of all images, ordered by id. */
  all(): readonly CachedImage[];
  get(imageId: ImageId): CachedImage | undefined;
  /** Sets what is asked for; the image is noted when there is nothing of it yet. */
  mark(identity: CachedIdentity, marks: { readonly pinned?: boolean; readonly queued?: boolean }): Promise<CachedImage>;
  /** Removes what is kept of the image; false: there was nothing. */
  remove(imageId: ImageId): Promise<boolean>;
  /** Removes what is more than may be kept: the least recently read first, those that are pinned or being read never. */
  prune(): Promise<Pruned>;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}
