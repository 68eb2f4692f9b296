/**
 * Reading images whose data lies elsewhere by way of the node's cache: what is there is read from it, what is not is fetched
 * once for all who want it, and kept. Who may read is decided before, at every read (CVE-2013-4428).
 */
import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { encodeFileMap, type FileMap, unitCountOf } from '../blocks/file-map.js';
import type { Image, ImageData } from '../domain/image.js';
import { type CacheCounts, CachedFileReads, type FileReader } from './cached-file-reads.js';
import type { ReadingWay } from './location-order.js';
import type { CachedIdentity, ImageCache } from './ports/image-cache.js';
import { type ReadingContext, readLocations, type WantedData } from './read-locations.js';
import { UnitWindow } from './unit-window.js';

/** Which file the data of an image is for the cache; undefined: without a map nothing tells one version of it from another. */
export function cachedIdentity(image: Image, { fileMap, sizeBytes }: ImageData): CachedIdentity | undefined {
  return fileMap === null ? undefined : { imageId: image.id, mapSha256: fileMap.sha256, sizeBytes };
}

export class CachedReads {
  readonly counts: CacheCounts = { hits: 0, misses: 0, servedBytes: 0, fetchedBytes: 0 };
  readonly #context: ReadingContext;
  readonly #cache: ImageCache;
  readonly #window = new UnitWindow();
  #opened = 0;
  /** Those that are being read, by the digest of their map and their image. */
  readonly #files = new Map<string, Promise<CachedFileReads>>();
  readonly #openings = new WeakMap<CachedFileReads, Promise<CachedFileReads>>();

  constructor(context: ReadingContext, cache: ImageCache) {
    this.#context = context;
    this.#cache = cache;
  }

  /** Whether data that is read in this order goes by way of the cache. What lies in a file store of this node does not. */
  takes(order: readonly ReadingWay[], data: ImageData): boolean {
    const [first] = order;
    const isHere = first?.through === 'store' && this.#context.stores.get(first.location.storeId)?.type === 'file';
    return data.fileMap !== null && !isHere;
  }

  /** As readLocations, but that it may fail for want of a location only when the first byte is asked for. */
  async read(order: readonly ReadingWay[], wanted: WantedData): Promise<AsyncIterable<Uint8Array>> {
    const source = await this.#sourceOf(wanted);
    return source === undefined || wanted.range.lengthBytes === 0
      ? readLocations(this.#context, order, wanted)
      : this.#chunks(source, order, wanted);
  }

  /**
   * Fetches what is not there yet, one unit after the other. LIMIT_EXCEEDED: there is no room for it. STATE_CONFLICT: the image
   * has no map that can be read. Others as readLocations.
   */
  async fill(order: readonly ReadingWay[], wanted: Omit<WantedData, 'range'>): Promise<void> {
    const source = await this.#sourceOf(wanted);
    if (source === undefined)
      throw new ServiceError('STATE_CONFLICT', `image ${wanted.image.id} has no map, or none that can be read now`);
    const file = await this.#enter(source);
    try {
      const endUnit = unitCountOf(source.identity.sizeBytes);
      for (let unitIndex = 0; unitIndex < endUnit; unitIndex++) {
        if (file.has(unitIndex)) continue;
        await orAborted(file.unit(unitIndex, { order, wanted, endUnit }), wanted.signal);
        if (file.refuses) throw new ServiceError('LIMIT_EXCEEDED', 'the cache has no room for the rest of the image');
      }
    } finally {
      await this.#leave(source, file);
    }
  }

  async *#chunks(
    source: CacheSource,
    order: readonly ReadingWay[],
    wanted: WantedData,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal, range } = wanted;
    const file = await this.#enter(source).catch((error: unknown) => {
      this.#context.log.warn({ err: error, imageId: wanted.image.id }, 'the cache is not usable, reading past it');
    });
    if (file === undefined) {
      yield* await readLocations(this.#context, order, wanted);
      return;
    }
    try {
      const rangeEndBytes = range.offsetBytes + range.lengthBytes;
      const reader: FileReader = { order, wanted, endUnit: Math.ceil(rangeEndBytes / UNIT_BYTES) };
      const firstUnit = Math.floor(range.offsetBytes / UNIT_BYTES);
      file.accessed(firstUnit);
      for (let unitIndex = firstUnit; unitIndex < reader.endUnit; unitIndex++) {
        const unit = await orAborted(file.unit(unitIndex, reader), signal);
        // Read while this one is sent, and found in memory then; a reader keeps one unit, however long it takes.
        if (unitIndex + 1 < reader.endUnit) file.unit(unitIndex + 1, reader).catch(() => undefined);
        const unitBytes = unitIndex * UNIT_BYTES;
        const chunk = unit.subarray(Math.max(range.offsetBytes - unitBytes, 0), rangeEndBytes - unitBytes);
        this.counts.servedBytes += chunk.length;
        yield chunk;
        signal.throwIfAborted();
      }
    } finally {
      await this.#leave(source, file);
    }
  }

  /** What is to be read by way of the cache; undefined: it cannot be, for want of a map. */
  async #sourceOf({ image, data }: Pick<WantedData, 'image' | 'data'>): Promise<CacheSource | undefined> {
    const identity = cachedIdentity(image, data);
    const map = identity === undefined ? null : await this.#context.maps.of(data);
    if (identity === undefined || map === null) return undefined;
    return { identity, map, name: `${identity.imageId} ${identity.mapSha256}` };
  }

  async #enter({ identity, map, name }: CacheSource): Promise<CachedFileReads> {
    let opening = this.#files.get(name);
    if (opening === undefined) {
      opening = this.#open(identity, map);
      this.#files.set(name, opening);
      opening.catch(() => this.#files.delete(name));
    }
    const file = await opening;
    this.#openings.set(file, opening);
    if (file.isRemoved && this.#files.get(name) === opening) this.#files.delete(name);
    // It may have been closed by its last reader meanwhile.
    if (this.#files.get(name) !== opening) return this.#enter({ identity, map, name });
    file.readers += 1;
    return file;
  }

  async #open(identity: CachedIdentity, map: FileMap): Promise<CachedFileReads> {
    const file = await this.#cache.open(identity, () => encodeFileMap(map).bytes);
    this.#opened += 1;
    const shared = { context: this.#context, window: this.#window, counts: this.counts };
    return new CachedFileReads({ ...shared, file, map, windowName: String(this.#opened) });
  }

  async #leave({ name }: CacheSource, file: CachedFileReads): Promise<void> {
    file.readers -= 1;
    if (file.readers > 0) return;
    if (this.#files.get(name) === this.#openings.get(file)) this.#files.delete(name);
    if (this.#files.size === 0) this.#window.clear();
    await file.close().catch((error: unknown) => {
      this.#context.log.warn({ err: error }, 'what the cache knows of an image is not written');
    });
  }
}

interface CacheSource {
  readonly identity: CachedIdentity;
  readonly map: FileMap;
  readonly name: string;
}

/** Waits no longer than the signal lets; what is waited for is left alone then. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    onAbort = resolve;
  });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (!signal.aborted) await Promise.race([promise, aborted]);
    signal.throwIfAborted();
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    promise.catch(() => undefined);
  }
}
