import { failedWith } from '../base/service-error.js';
import type { ImageId } from '../base/brand.js';
import { dataOf, type Image } from '../domain/image.js';
import { type CachedReads, cachedIdentity } from './cached-reads.js';
import { orderOf, type OrderContext, sitesOf } from './open-download.js';
import type { Catalog } from './ports/catalog.js';
import type { ImageCache } from './ports/image-cache.js';

/** An image that could not be fetched is tried again after so long. */
const RETRY_MS = 60_000;

export interface CacheQueueContext extends OrderContext {
  readonly catalog: Catalog;
  readonly cache: ImageCache;
  readonly cached: CachedReads;
}

/** Fetches the images that are queued, one at a time. What is queued is noted in the cache, and outlives the process. */
export class CacheQueue {
  readonly #context: CacheQueueContext;
  readonly #failedAtMs = new Map<ImageId, number>();
  readonly #stop = new AbortController();
  #current: { readonly imageId: ImageId; readonly stop: AbortController } | undefined;
  #running: Promise<void> | undefined;
  #cancelRetry: () => void = () => undefined;

  constructor(context: CacheQueueContext) {
    this.#context = context;
  }

  /** Looks for what is queued; call it when something may be. */
  wake(): void {
    if (this.#running !== undefined || this.#stop.signal.aborted) return;
    this.#running = this.#run().finally(() => (this.#running = undefined));
  }

  /** Ends the fetch of an image that is queued no more. */
  drop(imageId: ImageId): void {
    this.#failedAtMs.delete(imageId);
    if (this.#current?.imageId === imageId) this.#current.stop.abort();
  }

  /** Ends what is being fetched; the next start goes on. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#current?.stop.abort();
    this.#cancelRetry();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { log, timer } = this.#context;
    // What is queued in the same moment is seen.
    await Promise.resolve();
    for (let imageId = this.#next(); imageId !== undefined; imageId = this.#next()) {
      const stop = new AbortController();
      this.#current = { imageId, stop };
      try {
        await this.#fetch(imageId, stop.signal);
      } catch (error) {
        if (stop.signal.aborted) continue;
        log.warn({ err: error, imageId }, 'image not fetched into the cache, will be tried again');
        this.#failedAtMs.set(imageId, timer.elapsedMs());
      } finally {
        this.#current = undefined;
      }
    }
    this.#cancelRetry();
    if (this.#failedAtMs.size > 0 && !this.#stop.signal.aborted)
      this.#cancelRetry = timer.schedule(() => this.wake(), RETRY_MS);
  }

  #next(): ImageId | undefined {
    const { cache, timer } = this.#context;
    if (this.#stop.signal.aborted) return undefined;
    const dueMs = timer.elapsedMs() - RETRY_MS;
    const queued = cache.all().filter((image) => image.queued);
    return queued.find(({ imageId }) => (this.#failedAtMs.get(imageId) ?? dueMs) <= dueMs)?.imageId;
  }

  async #fetch(imageId: ImageId, signal: AbortSignal): Promise<void> {
    const { catalog, cache, cached, log } = this.#context;
    const found = await catalog.read((reader) => {
      const image = reader.image(imageId);
      return image === undefined ? undefined : { image, sites: sitesOf(this.#context, reader, image) };
    });
    const data = found === undefined ? undefined : dataOf(found.image);
    if (found !== undefined && data !== undefined && isFetched(found.image)) {
      const order = orderOf(this.#context, data, { prefer: [], sites: found.sites });
      try {
        if (cached.takes(order, data)) await cached.fill(order, { image: found.image, data, signal });
      } catch (error) {
        if (!failedWith(error, 'LIMIT_EXCEEDED')) throw error;
        log.warn({ err: error, imageId }, 'image not fetched into the cache: there is no room');
      }
    }
    const identity = cache.get(imageId);
    if (identity !== undefined) await cache.mark(identity, { queued: false });
    this.#failedAtMs.delete(imageId);
  }
}

/** Whether the image may be cached: it is active, and its data has a map. */
export function isFetched(image: Image): boolean {
  const data = dataOf(image);
  return image.status === 'active' && data !== undefined && cachedIdentity(image, data) !== undefined;
}
