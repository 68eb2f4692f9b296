import { join } from 'node:path';
import { CacheQueue } from '../application/cache-queue.js';
import type { CacheCounts } from '../application/cached-file-reads.js';
import type { CachedReads } from '../application/cached-reads.js';
import type { Log } from '../application/log.js';
import { NodeCache } from '../application/node-cache.js';
import type { OrderContext } from '../application/open-download.js';
import type { Catalog } from '../application/ports/catalog.js';
import type { ImageCache } from '../application/ports/image-cache.js';
import type { Config } from '../config/config.js';
import { openDiskCache } from '../stores/cache/disk-cache.js';

/** What is measured of a cache. */
export interface CacheFigures {
  readonly counts: Readonly<CacheCounts>;
  readonly cache: Pick<ImageCache, 'heldBytes' | 'maxBytes'>;
}

/** Opens the cache that is configured; null: none, or its folder cannot be used, without which the node serves all the same. */
export async function openCache({ cache, node }: Config, log: Log): Promise<ImageCache | null> {
  if (!cache.enabled) return null;
  const path = join(node.dataDir, 'cache');
  try {
    return await openDiskCache({ path, maxBytes: cache.sizeBytes, clock: { nowMs: () => Date.now() } });
  } catch (error) {
    log.error({ err: error, path }, 'the cache cannot be opened: images are read past it');
    return null;
  }
}

/** What the node does with its cache; null: it has none. */
export function nodeCacheOf(
  context: OrderContext & { readonly catalog: Catalog; readonly cached: CachedReads | null },
  cache: ImageCache | null,
): NodeCache | null {
  const { catalog, timer, log, cached } = context;
  if (cache === null || cached === null) return null;
  const queue = new CacheQueue({ ...context, cache, cached });
  return new NodeCache({ catalog, cache, queue, timer, log });
}
