import type { NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type RangeRequest, resolveRange } from '../domain/byte-range.js';
import type { Caller } from '../domain/caller.js';
import { dataOf, type Image, type ImageData } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { DataContext } from './data-context.js';
import { findImage } from './find-image.js';
import { type LocationPlaces, type ReadingWay, readingOrder, sourceName, wayName } from './location-order.js';
import { waysTo } from './object-reads.js';
import { isOwn, type OwnNode } from './own-objects.js';
import type { CatalogReader } from './ports/catalog.js';
import { type ReadingContext, readLocations } from './read-locations.js';

/** What decides the order of locations. */
export type OrderContext = Pick<DataContext, 'site' | 'locationStrategy'> & ReadingContext;

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
  /** Reads past the cache: what is copied into a store of this node need not lie in its cache, too. */
  readonly pastCache?: boolean;
}

/** The data of an image, for a caller who may have it. */
export interface ReadableData {
  readonly image: Image;
  readonly data: ImageData;
  /** The ways to it from here, in the order in which they are tried now. */
  readonly order: () => readonly ReadingWay[];
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
  const readable = await findReadable(context, caller, request);
  if (readable === undefined) return undefined;
  const { image, data } = readable;
  const range = resolveRange(request.range, data.sizeBytes);
  const wanted = { image, data, range, signal };
  const order = readable.order();
  const { cached } = context;
  const chunks =
    cached !== null && request.pastCache !== true && cached.takes(order, data)
      ? await cached.read(order, wanted)
      : await readLocations(context, order, wanted);
  return { image, data, ...range, chunks };
}

/** Finds the data of an image; undefined when there is none yet. NOT_FOUND, FORBIDDEN, INVALID_ARGUMENT as openDownload. */
export async function findReadable(
  context: DataContext,
  caller: Caller,
  request: Pick<DownloadRequest, 'imageId' | 'prefer'>,
): Promise<ReadableData | undefined> {
  const { image, sites } = await context.catalog.read((reader) => {
    const found = findImage(reader, caller, request.imageId);
    authorize('download_image', caller, found);
    if (request.prefer.length > 0) checkPreferred(context, reader, request.prefer);
    return { image: found, sites: sitesOf(context, reader, found) };
  });
  if (image.status === 'deactivated') authorizeDeactivated(caller, image);
  const data = dataOf(image);
  if (data === undefined || image.status === 'pending_delete') return undefined;
  const { prefer } = request;
  return { image, data, order: () => orderOf(context, data, { prefer, sites }) };
}

/** The ways to the data from this node, in the order in which they are tried now. */
export function orderOf(
  context: OrderContext,
  { locations }: ImageData,
  { prefer, sites }: Pick<LocationPlaces, 'prefer' | 'sites'>,
): readonly ReadingWay[] {
  const { stores, failed, latency, site, locationStrategy: strategy } = context;
  return readingOrder(locations, {
    ...{ strategy, prefer, site, sites },
    waysTo: (location) => waysTo(context, location),
    isOnDisk: (location) => isOwn(context, location) && !stores.isShared(location.storeId),
    storeSite: (storeId) => stores.site(storeId),
    weight: (storeId) => stores.weight(storeId),
    failed: (way) => failed.has(wayName(way)) || failed.has(sourceName(way, stores)),
    slowness: (way) => latency.slowness(sourceName(way, stores)),
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
export function sitesOf(context: OwnNode, reader: CatalogReader, image: Image): ReadonlyMap<NodeId | null, string> {
  const sites = new Map<NodeId | null, string>();
  for (const location of dataOf(image)?.locations ?? []) {
    const { nodeId } = location;
    if (isOwn(context, location) || sites.has(nodeId)) continue;
    const node = nodeId === null ? reader.nodes().find(({ role }) => role === 'authority') : reader.node(nodeId);
    if (node !== undefined) sites.set(nodeId, node.site);
  }
  return sites;
}
