import { createHash } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';
import { decodeFileMap, type FileMap } from '../blocks/file-map.js';
import type { ImageData } from '../domain/image.js';
import { type FileMapRef, mapPlaces, type ObjectPlace } from '../domain/location.js';
import type { FailedLocations } from './failed-locations.js';
import type { Log } from './log.js';
import { openReadable, type ReadableStores, type Through, waysTo } from './object-reads.js';
import { unitsOf } from './unit-stream.js';

/** Bytes of maps that are kept: those of nearly 2 TiB of images. A larger map is not read at all. */
const KEPT_BYTES = 64 * 1024 * 1024;

export interface FileMapsContext extends ReadableStores {
  readonly failed: FailedLocations;
  readonly log: Log;
  /** A map that is kept at hand, unchecked; undefined: it is not. */
  readonly keptMap?: (sha256: string) => Promise<Uint8Array | undefined>;
}

/** The maps of the files that are read here. */
export class FileMaps {
  readonly #context: FileMapsContext;
  /** By the digest of the map, the least recently used first. */
  readonly #maps = new Map<string, FileMap>();
  #keptBytes = 0;
  readonly #loading = new Map<string, Promise<FileMap | null>>();

  constructor(context: FileMapsContext) {
    this.#context = context;
  }

  /** The map of the image's file; null when it has none, or none that can be read now. */
  async of(data: ImageData): Promise<FileMap | null> {
    const { fileMap } = data;
    if (fileMap === null || fileMap.sizeBytes > KEPT_BYTES) return null;
    const kept = this.#maps.get(fileMap.sha256);
    if (kept !== undefined) {
      this.#maps.delete(fileMap.sha256);
      this.#maps.set(fileMap.sha256, kept);
      return kept;
    }
    // Many readers of one image begin at once.
    let loading = this.#loading.get(fileMap.sha256);
    if (loading === undefined) {
      loading = this.#load(fileMap, data).finally(() => this.#loading.delete(fileMap.sha256));
      this.#loading.set(fileMap.sha256, loading);
    }
    return loading;
  }

  async #load(fileMap: FileMapRef, data: ImageData): Promise<FileMap | null> {
    const { failed, log } = this.#context;
    const atHand = await this.#atHand(fileMap, data);
    if (atHand !== undefined) return atHand;
    const ways = mapPlaces(fileMap, data.locations).flatMap((place) =>
      waysTo(this.#context, place).map((through) => ({ place, through })),
    );
    const nearFirst = [
      ...ways.filter(({ through }) => through === 'store'),
      ...ways.filter(({ through }) => through === 'node'),
    ];
    for (const { place, through } of nearFirst) {
      const name = `${through} ${place.nodeId ?? ''}/${place.storeId}/${place.key}`;
      if (failed.has(name)) continue;
      try {
        const map = decodeFileMap(await this.#read(fileMap, place, through));
        if (map.sizeBytes !== data.sizeBytes) throw new ServiceError('DATA_CORRUPT', 'the map is of another size');
        this.#keep(fileMap.sha256, map);
        return map;
      } catch (error) {
        failed.note(name);
        log.warn({ err: error, store: place.storeId, key: place.key }, 'map of a file not readable');
      }
    }
    return null;
  }

  // Data that is cached can be read while nobody who has the map answers.
  async #atHand({ sha256 }: FileMapRef, { sizeBytes }: ImageData): Promise<FileMap | undefined> {
    try {
      const bytes = await this.#context.keptMap?.(sha256);
      if (bytes === undefined || sha256Of(bytes) !== sha256) return undefined;
      const map = decodeFileMap(bytes);
      if (map.sizeBytes !== sizeBytes) return undefined;
      this.#keep(sha256, map);
      return map;
    } catch (error) {
      this.#context.log.warn({ err: error }, 'the cached map of a file is not readable');
      return undefined;
    }
  }

  #keep(sha256: string, map: FileMap): void {
    this.#maps.set(sha256, map);
    this.#keptBytes += bytesOf(map);
    for (const [oldest, old] of this.#maps) {
      if (this.#keptBytes <= KEPT_BYTES) return;
      this.#maps.delete(oldest);
      this.#keptBytes -= bytesOf(old);
    }
  }

  async #read(fileMap: FileMapRef, place: ObjectPlace, through: Through): Promise<Uint8Array> {
    const stop = new AbortController();
    const { sizeBytes, sha256 } = fileMap;
    const range = { offsetBytes: 0, lengthBytes: sizeBytes };
    const location = { id: 'map', ...place };
    try {
      const source = await openReadable(this.#context, { location, sizeBytes, through }, range, stop.signal);
      const bytes = new Uint8Array(sizeBytes);
      let filled = 0;
      for await (const unit of unitsOf(source, { lengthBytes: sizeBytes, limit: this.#context })) {
        bytes.set(unit, filled);
        filled += unit.length;
      }
      if (sha256Of(bytes) !== sha256)
        throw new ServiceError('DATA_CORRUPT', 'the map is not the one that the catalog names');
      return bytes;
    } finally {
      stop.abort();
    }
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function bytesOf({ unitDigests, unitIsZero }: FileMap): number {
  return unitDigests.length + unitIsZero.length;
}
