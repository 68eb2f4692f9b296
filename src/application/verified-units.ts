import type { ObjectPlace } from '../domain/location.js';

/** Flags that are kept: those of 16 TiB, a byte a unit. */
const KEPT_BYTES = 16 * 1024 * 1024;

/**
 * Which units of which files were checked against their map already. A file is known by its store, its key and its version (inode and
 * time of change): once it is touched, all of it is checked again.
 */
export class VerifiedUnits {
  /** The least recently used first. */
  readonly #files = new Map<string, Uint8Array>();
  #keptBytes = 0;

  /** The flags of the file's units, 1: checked; to be set by whoever checks one. */
  of(file: string, unitCount: number): Uint8Array {
    const kept = this.#files.get(file);
    const flags = kept ?? new Uint8Array(unitCount);
    this.#files.delete(file);
    this.#files.set(file, flags);
    if (kept === undefined) this.#keptBytes += flags.length;
    for (const [oldest, old] of this.#files) {
      if (this.#keptBytes <= KEPT_BYTES || oldest === file) break;
      this.#files.delete(oldest);
      this.#keptBytes -= old.length;
    }
    return flags;
  }
}

/** The name of an object at a version, checked by the map with this digest. */
export function checkedFileName(place: ObjectPlace, version: string, mapSha256: string): string {
  return [place.storeId, place.key, version, mapSha256].join(' ');
}
