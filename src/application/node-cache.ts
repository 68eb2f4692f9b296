import { asImageId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { dataOf } from '../domain/image.js';
import { authorize, type PolicyName } from '../domain/policy.js';
import { cachedIdentity } from './cached-reads.js';
import type { CacheQueue } from './cache-queue.js';
import { findImage, imageNotFound } from './find-image.js';
import type { Log } from './log.js';
import type { Catalog, CatalogReader } from './ports/catalog.js';
import type { Timer } from './ports/clock.js';
import type { CachedIdentity, CachedImage, ImageCache, Pruned } from './ports/image-cache.js';

/** The catalog may change a thousand times a second. */
const LOOK_PAUSE_MS = 1000;
/** Images that are looked up in one read of the catalog. */
const LOOKED_UP = 100;

export type ClearTarget = 'all' | 'cache' | 'queue';

export interface NodeCacheContext {
  readonly catalog: Catalog;
  readonly cache: ImageCache;
  readonly queue: CacheQueue;
  readonly timer: Timer;
  readonly log: Log;
}

/** What administrators do with the cache of a node (Images API v2 §6.15), and what it does of its own accord. */
export class NodeCache {
  readonly #context: NodeCacheContext;
  readonly #unsubscribe: () => void;
  #cancelLook: (() => void) | undefined;
  #looking: Promise<unknown> = Promise.resolve();

  constructor(context: NodeCacheContext) {
    this.#context = context;
    this.#unsubscribe = context.catalog.onAdvance(() => this.#lookSoon());
    this.#lookSoon();
    context.queue.wake();
  }

  get held(): Pick<ImageCache, 'heldBytes' | 'maxBytes'> {
    return this.#context.cache;
  }

  /** What is cached, ordered by id. FORBIDDEN: no administrator; so of all that follow. */
  list(caller: Caller): readonly CachedImage[] {
    allow('cache_list', caller);
    return this.#context.cache.all();
  }

  /** Queues an image. NOT_FOUND: absent. INVALID_ARGUMENT: not active, or without a map. Others: those of the cache. */
  async add(caller: Caller, imageId: string): Promise<void> {
    allow('cache_image', caller);
    await this.#context.cache.mark(await this.#identity(caller, imageId), { queued: true });
    this.#context.queue.wake();
  }

  /** Takes an image out of the cache and the queue. NOT_FOUND: it is in neither. */
  async remove(caller: Caller, imageIdText: string): Promise<void> {
    allow('cache_delete', caller);
    const imageId = asImageId(imageIdText);
    if (imageId === undefined) throw imageNotFound(imageIdText);
    if (!(await this.#remove(imageId)))
      throw new ServiceError('NOT_FOUND', `Image ${imageId} is neither cached nor queued for caching.`);
  }

  async clear(caller: Caller, target: ClearTarget): Promise<void> {
    allow('cache_delete', caller);
    for (const image of this.#context.cache.all()) {
      const isMeant = target === 'all' || (target === 'queue') === image.queued;
      if (!isMeant) continue;
      if (target === 'queue') await this.#unqueue(image);
      else await this.#remove(image.imageId);
    }
  }

  /** Keeps what is cached of an image, now and later, when room is needed; or does so no more. Reasons as `add`. */
  async pin(caller: Caller, imageId: string, pinned: boolean): Promise<CachedImage> {
    allow('manage_image_cache', caller);
    return this.#context.cache.mark(await this.#identity(caller, imageId), { pinned });
  }

  async prune(caller: Caller): Promise<Pruned> {
    allow('cache_prune', caller);
    return this.#context.cache.prune();
  }

  /** Removes images that are gone or have other data, and returns how many. */
  async clean(caller: Caller): Promise<number> {
    allow('cache_clean', caller);
    return this.#clean();
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#cancelLook?.();
    await this.#looking;
    await this.#context.queue.close();
    await this.#context.cache.close();
  }

  async #identity(caller: Caller, imageId: string): Promise<CachedIdentity> {
    const image = await this.#context.catalog.read((reader) => findImage(reader, caller, imageId));
    const data = dataOf(image);
    if (image.status !== 'active' || data === undefined)
      throw new ServiceError('INVALID_ARGUMENT', `Image ${imageId} is ${image.status}: only active images are cached.`);
    const identity = cachedIdentity(image, data);
    if (identity !== undefined) return identity;
    const problem = `Image ${imageId} has no map of its data, without which nothing tells whether a cached copy is right.`;
    throw new ServiceError('INVALID_ARGUMENT', problem);
  }

  async #remove(imageId: ImageId): Promise<boolean> {
    const removed = await this.#context.cache.remove(imageId);
    this.#context.queue.drop(imageId);
    return removed;
  }

  async #unqueue(image: CachedImage): Promise<void> {
    await this.#context.cache.mark(image, { queued: false });
    this.#context.queue.drop(image.imageId);
  }

  #lookSoon(): void {
    this.#cancelLook ??= this.#context.timer.schedule(() => {
      this.#cancelLook = undefined;
      this.#looking = this.#look();
    }, LOOK_PAUSE_MS);
  }

  async #look(): Promise<void> {
    const { catalog, cache, log } = this.#context;
    try {
      // A copy of the catalog that is not there yet knows no images.
      if (catalog.status().ok) await this.#clean();
      await cache.prune();
    } catch (error) {
      log.warn({ err: error }, 'the cache could not be cleaned, will be tried again');
    }
  }

  async #clean(): Promise<number> {
    const { catalog, cache } = this.#context;
    const images = cache.all();
    let removed = 0;
    for (let start = 0; start < images.length; start += LOOKED_UP) {
      const some = images.slice(start, start + LOOKED_UP);
      const gone = await catalog.read((reader) => some.filter((image) => !isOfUse(reader, image)));
      for (const { imageId } of gone) if (await this.#remove(imageId)) removed += 1;
    }
    return removed;
  }
}

/** Whether the image is there and its data is still what is cached. */
function isOfUse(reader: CatalogReader, cached: CachedImage): boolean {
  const image = reader.image(cached.imageId);
  const data = image === undefined ? undefined : dataOf(image);
  return image !== undefined && data !== undefined && cachedIdentity(image, data)?.mapSha256 === cached.mapSha256;
}

function allow(policy: PolicyName, caller: Caller): void {
  authorize(policy, caller, { owner: null });
}
