import { failedWith, ServiceError } from '../base/service-error.js';
import { type FileMap, verifyUnit } from '../blocks/file-map.js';
import type { ReadingWay } from './location-order.js';
import { type FetchTarget, OriginFetch } from './origin-fetch.js';
import type { CachedFile } from './ports/image-cache.js';
import type { ReadingContext, WantedData } from './read-locations.js';
import type { UnitWindow } from './unit-window.js';

/** So often an operator is told that units are not kept. */
const WARN_EVERY_MS = 60_000;

/** How a reader reads a file: where to fetch what is not there, and up to where. */
export interface FileReader {
  readonly order: readonly ReadingWay[];
  readonly wanted: Pick<WantedData, 'image' | 'data'>;
  /** Behind the last unit that it reads. */
  readonly endUnit: number;
}

/** What is counted of all files. */
export interface CacheCounts {
  /** Reads that found their first unit in the cache. */
  hits: number;
  /** Reads that did not. */
  misses: number;
  /** Bytes that readers got by way of the cache. */
  servedBytes: number;
  /** Bytes that were fetched for them. */
  fetchedBytes: number;
}

interface FileParts {
  readonly context: ReadingContext;
  readonly file: CachedFile;
  readonly map: FileMap;
  /** Of what is in memory of it: another one of the same image has to keep its units itself. */
  readonly windowName: string;
  readonly window: UnitWindow;
  readonly counts: CacheCounts;
}

/** One file of the cache and all who read it: each unit is read from the disk or fetched once for those who want it now. */
export class CachedFileReads implements FetchTarget {
  readers = 0;
  /** The last unit that came could not be kept. */
  refuses = false;
  readonly #parts: FileParts;
  readonly #fetches = new Set<OriginFetch>();
  readonly #loads = new Set<Promise<unknown>>();
  /** Units that came and are being written. */
  readonly #writing = new Map<number, Promise<void>>();
  #isClosed = false;
  #warnedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: FileParts) {
    this.#parts = parts;
  }

  /** Who begins to read now does so by way of another one. */
  get isRemoved(): boolean {
    return this.#parts.file.isRemoved;
  }

  /** Whether the unit is here, or is being written. */
  has(unitIndex: number): boolean {
    return this.#parts.file.has(unitIndex) || this.#writing.has(unitIndex);
  }

  accessed(firstUnit: number): void {
    const isHit = this.has(firstUnit);
    this.#parts.file.accessed(isHit);
    if (isHit) this.#parts.counts.hits += 1;
    else this.#parts.counts.misses += 1;
  }

  /** The unit, checked, to be left as it is: others read it, too. Fails as readLocations does. */
  async unit(unitIndex: number, reader: FileReader): Promise<Uint8Array> {
    const { window, file } = this.#parts;
    const name = this.#nameOf(unitIndex);
    for (;;) {
      if (this.#isClosed) throw new ServiceError('CANCELLED', 'all readers have left');
      for (const fetch of this.#fetches) fetch.want(unitIndex, reader.endUnit);
      const shared = window.get(name);
      const writing = this.#writing.get(unitIndex);
      if (shared === undefined && writing !== undefined) {
        await writing;
        continue;
      }
      const unit = await (shared ??
        (file.has(unitIndex)
          ? window.load(name, () => this.#load(unitIndex, reader))
          : this.#fetched(unitIndex, reader)));
      if (unit !== undefined) return unit;
    }
  }

  /** Takes what a fetch brought. */
  async keep(unitIndex: number, unit: Uint8Array): Promise<void> {
    const { window, counts } = this.#parts;
    window.put(this.#nameOf(unitIndex), unit);
    counts.fetchedBytes += unit.length;
    const writing = this.#write(unitIndex, unit).finally(() => this.#writing.delete(unitIndex));
    this.#writing.set(unitIndex, writing);
    await writing;
  }

  async #write(unitIndex: number, unit: Uint8Array): Promise<void> {
    const { file, map } = this.#parts;
    try {
      await file.write(unitIndex, unit, map.unitIsZero[unitIndex] === 1);
      this.refuses = false;
    } catch (error) {
      this.refuses = true;
      this.#warn(error);
    }
  }

  /** Ends what nobody waits for any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const fetch of this.#fetches) fetch.stop();
    await Promise.allSettled([...[...this.#fetches].map(({ ended }) => ended), ...this.#loads]);
    await this.#parts.file.close();
  }

  #nameOf(unitIndex: number): string {
    return `${this.#parts.windowName} ${unitIndex}`;
  }

  #load(unitIndex: number, reader: FileReader): Promise<Uint8Array | undefined> {
    const load = this.#fromDisk(unitIndex, reader).finally(() => this.#loads.delete(load));
    this.#loads.add(load);
    return load;
  }

  // The disk of a cache is not trusted: each unit that comes from it is checked, which costs a fraction of sending it.
  async #fromDisk(unitIndex: number, { wanted }: FileReader): Promise<Uint8Array | undefined> {
    const { context, file, map } = this.#parts;
    const fields = { imageId: wanted.image.id, unitIndex };
    try {
      const unit = await file.read(unitIndex);
      if (unit !== undefined && verifyUnit(map, unitIndex, unit, context.unitDigest)) return unit;
      context.log.warn(fields, 'cached data is not what was stored, fetching it again');
    } catch (error) {
      context.log.warn({ ...fields, err: error }, 'cached data is not readable, fetching it again');
    }
    file.drop(unitIndex);
    return undefined;
  }

  #fetched(unitIndex: number, reader: FileReader): Promise<Uint8Array | undefined> {
    const { context, map } = this.#parts;
    let fetch = [...this.#fetches].find((running) => running.covers(unitIndex));
    if (fetch === undefined) {
      const { order, wanted } = reader;
      const endUnit = this.#gapEnd(unitIndex, reader.endUnit);
      const started = new OriginFetch(
        context,
        { order, wanted: { ...wanted, map }, firstUnit: unitIndex, endUnit },
        this,
      );
      this.#fetches.add(started);
      void started.ended.then(() => this.#fetches.delete(started));
      fetch = started;
    }
    fetch.want(unitIndex, reader.endUnit);
    return fetch.unit(unitIndex);
  }

  /** Where what is missing from the unit on, and not on its way by another run, ends: more would be asked for in vain. */
  #gapEnd(unitIndex: number, endUnit: number): number {
    let end = unitIndex + 1;
    const comes = (next: number): boolean => [...this.#fetches].some((running) => running.covers(next));
    while (end < endUnit && !this.has(end) && !comes(end)) end += 1;
    return end;
  }

  #warn(error: unknown): void {
    const { timer, log } = this.#parts.context;
    const nowMs = timer.elapsedMs();
    if (nowMs < this.#warnedAtMs + WARN_EVERY_MS) return;
    this.#warnedAtMs = nowMs;
    const what = failedWith(error, 'LIMIT_EXCEEDED') ? 'the cache has no room' : 'the cache cannot be written';
    log.warn({ err: error }, `${what}: images are read past it`);
  }
}
