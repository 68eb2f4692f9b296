import type { ClearTarget, NodeCache } from '../application/node-cache.js';
import type { CachedImage as Cached } from '../application/ports/image-cache.js';
import { ServiceError } from '../base/service-error.js';
import * as wire from '../gen/oriel/node/v1/node_cache.js';
import type { CatalogMethods } from './catalog-service.js';
import type { ServiceContext } from './service-context.js';

const PAGE_MAX = 1000;

const TARGETS: ReadonlyMap<wire.CacheClearTarget, ClearTarget> = new Map([
  [wire.CacheClearTarget.UNSPECIFIED, 'all'],
  [wire.CacheClearTarget.CACHE, 'cache'],
  [wire.CacheClearTarget.QUEUE, 'queue'],
]);

/** The calls about the cache of the node. Reasons are those of `NodeCache`, and NOT_FOUND when there is none. */
export class CacheMethods {
  readonly #cache: NodeCache | null;
  readonly #catalog: Pick<CatalogMethods, 'getImage'>;

  constructor(cache: NodeCache | null, catalog: Pick<CatalogMethods, 'getImage'>) {
    this.#cache = cache;
    this.#catalog = catalog;
  }

  async listCachedImages(
    request: wire.ListCachedImagesRequest,
    context: ServiceContext,
  ): Promise<wire.ListCachedImagesResponse> {
    const caller = await context.caller();
    const cache = this.#there();
    const images = cache.list(caller);
    const pageSize = request.pageSize === 0 ? PAGE_MAX : Math.min(request.pageSize, PAGE_MAX);
    const start = images.findIndex(({ imageId }) => imageId > request.pageToken);
    const page = start === -1 ? [] : images.slice(start, start + pageSize);
    const isLast = start === -1 || start + pageSize >= images.length;
    const { heldBytes, maxBytes } = cache.held;
    return {
      cachedImages: page.map(cachedMessage),
      nextPageToken: isLast ? '' : (page.at(-1)?.imageId ?? ''),
      heldBytes: BigInt(heldBytes),
      maxBytes: BigInt(maxBytes),
    };
  }

  async cacheImage({ imageId }: wire.CacheImageRequest, context: ServiceContext): Promise<wire.CacheImageResponse> {
    const cache = this.#there();
    await this.#known(imageId, context);
    await cache.add(await context.caller(), imageId);
    return {};
  }

  async removeCachedImage(
    { imageId }: wire.RemoveCachedImageRequest,
    context: ServiceContext,
  ): Promise<wire.RemoveCachedImageResponse> {
    await this.#there().remove(await context.caller(), imageId);
    return {};
  }

  async clearCache(request: wire.ClearCacheRequest, context: ServiceContext): Promise<wire.ClearCacheResponse> {
    const target = TARGETS.get(request.target);
    if (target === undefined) throw new ServiceError('INVALID_ARGUMENT', 'target: expected cache, queue or nothing');
    await this.#there().clear(await context.caller(), target);
    return {};
  }

  async cleanCache(_request: wire.CleanCacheRequest, context: ServiceContext): Promise<wire.CleanCacheResponse> {
    return { removedImages: await this.#there().clean(await context.caller()) };
  }

  async pruneCache(_request: wire.PruneCacheRequest, context: ServiceContext): Promise<wire.PruneCacheResponse> {
    const { images, bytes } = await this.#there().prune(await context.caller());
    return { prunedImages: images, prunedBytes: BigInt(bytes) };
  }

  async pinCachedImage(
    { imageId, pinned }: wire.PinCachedImageRequest,
    context: ServiceContext,
  ): Promise<wire.PinCachedImageResponse> {
    const cache = this.#there();
    await this.#known(imageId, context);
    return { cachedImage: cachedMessage(await cache.pin(await context.caller(), imageId, pinned)) };
  }

  /** Waits until the catalog here has the image as the caller knows it. */
  async #known(imageId: string, context: ServiceContext): Promise<void> {
    await this.#catalog.getImage({ id: imageId }, context);
  }

  #there(): NodeCache {
    if (this.#cache === null)
      throw new ServiceError('NOT_FOUND', 'Caching is turned off at this node ([cache] enabled).');
    return this.#cache;
  }
}

function cachedMessage(image: Cached): wire.CachedImage {
  return {
    imageId: image.imageId,
    cachedBytes: BigInt(image.cachedBytes),
    size: BigInt(image.sizeBytes),
    hits: BigInt(image.hits),
    lastAccessedAt: new Date(image.lastAccessedMs),
    lastModifiedAt: new Date(image.lastModifiedMs),
    pinned: image.pinned,
    queued: image.queued,
  };
}
