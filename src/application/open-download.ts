import type { NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type RangeRequest, resolveRange } from '../domain/byte-range.js';
import type { Caller } from '../domain/caller.js';
import { dataOf, type Image, type ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import { authorize } from '../domain/policy.js';
import type { DataContext } from './data-context.js';
import { findImage } from './find-image.js';
import { readingOrder, type ReadingWay, sourceName, wayName } from './location-order.js';
import { waysTo } from './object-reads.js';
import { isOwn } from './own-objects.js';
import type { CatalogReader } from './ports/catalog.js';
import { readLocations } from './read-locations.js';

export interface Download {
  readonly image: Image;
  readonly data: ImageData;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** A chunk's memory may be overwritten once the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface DownloadRequest {
  readonly imageId: string;
  readonly range: RangeRequest | null;
  /** Stores to read from first. */
  readonly prefer: readonly string[];
}

/**
 * Opens the data of an image, or a range of it; undefined when there is none yet (Images API v2 §6.7). NOT_FOUND: absent
 * or invisible. FORBIDDEN: no right, or deactivated. INVALID_ARGUMENT: no such store to prefer. RANGE_INVALID. Others: see
 * readLocations.
 */
export async function openDownload(
  context: DataContext,
  caller: Caller,
  request: DownloadRequest,
  signal: AbortSignal,
): Promise<Download | undefined> {
  const { image, sites } = await context.catalog.read((reader) => {
    const found = findImage(reader, caller, request.imageId);
    authorize('download_image', caller, found);
    if (request.prefer.length > 0) checkPreferred(context, reader, request.prefer);
    return { image: found, sites: sitesOf(context, reader, found) };
  });
  if (image.status === 'deactivated') authorizeDeactivated(caller, image);
  const data = dataOf(image);
  if (data === undefined || image.status === 'pending_delete') return undefined;
  const range = resolveRange(request.range, data.sizeBytes);
  const order = orderOf(context, data.locations, { prefer: request.prefer, sites });
  const chunks = await readLocations(context, order, { image, data, range, signal });
  return { image, data, ...range, chunks };
}

function orderOf(
  context: DataContext,
  locations: readonly Location[],
  { prefer, sites }: { readonly prefer: readonly string[]; readonly sites: ReadonlyMap<NodeId | null, string> },
): readonly ReadingWay[] {
  const { stores, failed, latency, site, locationStrategy: strategy } = context;
  return readingOrder(locations, {
    ...{ strategy, prefer, site, sites },
    waysTo: (location) => waysTo(context, location),
    storeSite: (storeId) => stores.site(storeId),
    weight: (storeId) => stores.weight(storeId),
    failed: (way) => failed.has(wayName(way)) || failed.has(sourceName(way)),
    slowness: (way) => latency.slowness(sourceName(way)),
  });
}

function authorizeDeactivated(caller: Caller, image: Image): void {
  try {
    authorize('download_deactivated', caller, image);
  } catch (cause) {
    throw new ServiceError(
      'FORBIDDEN',
      `The requested image ${image.id} has been deactivated. Image data download is forbidden.`,
      { cause },
    );
  }
}

// Images API v2 §6.7: with one store there is nothing to prefer, and a store that is not there is an error.
function checkPreferred(context: DataContext, reader: CatalogReader, prefer: readonly string[]): void {
  const known = new Set<string>(context.stores.all.map(({ store }) => store.id));
  for (const { stores } of reader.nodes()) for (const store of stores) known.add(store);
  if (known.size < 2) throw new ServiceError('INVALID_ARGUMENT', 'prefer: there is but one store');
  if (!prefer.every((store) => known.has(store)))
    throw new ServiceError('INVALID_ARGUMENT', `prefer: expected names of ${[...known].join(', ')}`);
}

/** The sites of the other nodes that have data of the image. */
function sitesOf(context: DataContext, reader: CatalogReader, image: Image): ReadonlyMap<NodeId | null, string> {
  const sites = new Map<NodeId | null, string>();
  for (const location of dataOf(image)?.locations ?? []) {
    const { nodeId } = location;
    if (isOwn(context, location) || sites.has(nodeId)) continue;
    const node = nodeId === null ? reader.nodes().find(({ role }) => role === 'authority') : reader.node(nodeId);
    if (node !== undefined) sites.set(nodeId, node.site);
  }
  return sites;
}
