/** The cache of the node that answers (reference §6.15): versions 2.14 and 2.16, cleaning and pruning of 2.18. */
import { ServiceError } from '../../base/service-error.js';
import { type CachedImage, CacheClearTarget } from '../../gen/oriel/node/v1/node_cache.js';
import { type Answer, NO_CONTENT } from '../answer.js';
import type { Exchange } from '../exchange.js';
import type { Route } from '../route.js';
import type { RouteContext } from '../route-context.js';

const CLEAR_TARGETS: ReadonlyMap<string, CacheClearTarget> = new Map([
  ['', CacheClearTarget.UNSPECIFIED],
  ['cache', CacheClearTarget.CACHE],
  ['queue', CacheClearTarget.QUEUE],
]);

export function cacheRoutes(context: RouteContext): readonly Route[] {
  const route = (method: Route['method'], path: string, handle: typeof listCache): Route => ({
    ...{ method, path, body: 'none' },
    handle: (exchange) => handle(context, exchange),
  });
  return [
    route('GET', '/v2/cache', listCache),
    route('DELETE', '/v2/cache', clearCache),
    // Before the images, whose ids are none of these words. Clients send empty bodies with a type here.
    { ...route('POST', '/v2/cache/clean', cleanCache), body: 'ignored' },
    { ...route('POST', '/v2/cache/prune', pruneCache), body: 'ignored' },
    route('GET', '/v2/cache/nodes/:id', listNodes),
    { ...route('PUT', '/v2/cache/:id', cacheImage), body: 'ignored' },
    route('DELETE', '/v2/cache/:id', removeImage),
  ];
}

async function listCache(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const images = await cachedImages(context, exchange);
  const cached = images.filter(({ queued }) => !queued).map(cachedJson);
  const queued = images.filter((image) => image.queued).map(({ imageId }) => imageId);
  return { status: 200, body: JSON.stringify({ cached_images: cached, queued_images: queued }) };
}

async function clearCache(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const given = exchange.header('x-image-cache-clear-target') ?? '';
  const target = CLEAR_TARGETS.get(given.toLowerCase());
  if (target === undefined)
    throw new ServiceError('INVALID_ARGUMENT', 'x-image-cache-clear-target: expected cache, queue or nothing');
  await context.backend.node.clearCache({ target }, exchange.call);
  return NO_CONTENT;
}

async function cacheImage(context: RouteContext, exchange: Exchange): Promise<Answer> {
  await context.backend.node.cacheImage({ imageId: exchange.param('id') }, exchange.call);
  return { status: 202 };
}

async function removeImage(context: RouteContext, exchange: Exchange): Promise<Answer> {
  await context.backend.node.removeCachedImage({ imageId: exchange.param('id') }, exchange.call);
  return NO_CONTENT;
}

/** A node knows its own cache alone, so that one of several cannot tell which of them have the image. */
async function listNodes(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const images = await cachedImages(context, exchange);
  const { nodes } = await context.backend.node.listNodes({}, exchange.call);
  if (nodes.length > 1)
    throw new ServiceError('STATE_CONFLICT', 'Each node has a cache of its own: ask each by GET /v2/cache.');
  const isCached = images.some(({ imageId, queued }) => imageId === exchange.param('id') && !queued);
  return { status: 200, body: JSON.stringify(isCached ? nodes.map(({ httpUrl }) => httpUrl) : []) };
}

async function cleanCache(context: RouteContext, exchange: Exchange): Promise<Answer> {
  await context.backend.node.cleanCache({}, exchange.call);
  return { status: 200 };
}

async function pruneCache(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const { prunedImages, prunedBytes } = await context.backend.node.pruneCache({}, exchange.call);
  const body = { total_files_pruned: prunedImages, total_bytes_pruned: Number(prunedBytes) };
  return { status: 200, body: JSON.stringify(body) };
}

async function cachedImages(context: RouteContext, exchange: Exchange): Promise<readonly CachedImage[]> {
  const images: CachedImage[] = [];
  let pageToken = '';
  do {
    const page = await context.backend.node.listCachedImages({ pageToken }, exchange.call);
    images.push(...page.cachedImages);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return images;
}

/** Times are seconds since 1970. `size` is what the cache holds. */
function cachedJson(image: CachedImage): object {
  return {
    image_id: image.imageId,
    hits: Number(image.hits),
    last_accessed: (image.lastAccessedAt?.getTime() ?? 0) / 1000,
    last_modified: (image.lastModifiedAt?.getTime() ?? 0) / 1000,
    size: Number(image.cachedBytes),
  };
}
