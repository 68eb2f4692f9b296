import { failedWith, ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import type { ExpectedData, FoundLocation } from '../domain/location-change.js';
import { dataOf, type Image } from '../domain/image.js';
import { isUnread } from '../domain/digested-data.js';
import type { FileMapRef, Location } from '../domain/location.js';
import { parseLocationUrl, refusedUrl } from '../domain/location-url.js';
import { exceeds } from '../domain/limits.js';
import { isService } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import type { DataContext } from './data-context.js';
import { inspectContent } from './inspect-content.js';
import { lookInTime } from './look-in-time.js';
import type { Effect } from './ports/catalog.js';
import type { Timer } from './ports/clock.js';
import type { ImageStore } from './ports/image-store.js';
import type { Formats } from './read-for-digests.js';
import type { LocationNaming } from './store-registry.js';
import { overCap } from './upload-lease.js';

/** So long may the objects that one request names be looked at: its caller waits, an edge for at most 30 s. */
const LOOK_MS = 20_000;

/** What the use cases that change locations work with. */
export interface LocationContext
  extends CatalogContext,
    Pick<DataContext, 'nodeId' | 'stores' | 'hashingAlgorithm' | 'secureHash' | 'formatMatch' | 'log' | 'timer'> {}

/** The node that reads data for its digests, and whether that is done. */
export type HashingNode = Pick<DataContext, 'nodeId' | 'secureHash'>;

/** A location as a caller names it. */
export interface NamedLocation {
  readonly url: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly expected: ExpectedData | null;
}

/** An object that a URL names, which nobody has looked for yet. */
export interface NamedObject {
  readonly store: ImageStore;
  readonly by: LocationNaming['by'];
  /** As if there were an object of the size that the image has: what may not be added whatever it is shows by it. */
  readonly supposed: FoundLocation;
}

/** Reads a URL, without a store being asked. INVALID_ARGUMENT: none that may be named by URL. FORBIDDEN: a service may. */
export function nameLocation(
  context: LocationContext,
  caller: Caller,
  image: Image,
  { url, metadata, expected }: NamedLocation,
): NamedObject {
  parseLocationUrl(url);
  const named = context.stores.locate(url);
  if (named === undefined) throw refusedUrl();
  const { store, key, by } = named;
  if (by === 'services' && !isAdmin(caller) && !isService(caller))
    throw new ServiceError('FORBIDDEN', 'Only services and administrators may name objects of this store.');
  const place = { id: context.ids.uuid(), nodeId: context.nodeId, storeId: store.id, key, metadata };
  const location: Location = { ...place, digest: 'unverified', created: false };
  const sizeBytes = dataOf(image)?.sizeBytes ?? 0;
  return { store, by, supposed: { location, sizeBytes, virtualSizeBytes: null, expected } };
}

/**
 * What the content of added locations is to be inspected for, by the image as it will be; null: nothing, since a map tells whether
 * it is the data of the image.
 */
export function formatsToInspect(before: Image, after: Image): Formats | null {
  const { diskFormat, containerFormat } = after;
  if ((dataOf(before)?.fileMap ?? null) !== null || diskFormat === null || containerFormat === null) return null;
  return { diskFormat, containerFormat };
}

/** STATE_CONFLICT: the content of added locations was inspected for other formats than the image will have. */
export function checkInspected(before: Image, after: Image, inspected: Formats | null): void {
  const wanted = formatsToInspect(before, after);
  if (wanted === null) return;
  if (wanted.diskFormat !== inspected?.diskFormat || wanted.containerFormat !== inspected.containerFormat)
    throw new ServiceError('STATE_CONFLICT', 'The formats of the image were changed meanwhile: repeat the request.');
}

/**
 * Finds the object; call it when the caller was found to have the right to the image and the image may get it (CVE-2026-71198: a
 * target is not contacted before). The content is inspected for the formats. INVALID_ARGUMENT: no such object. UNSUPPORTED_MEDIA:
 * see inspectContent. LIMIT_EXCEEDED: larger than an image may be (CVE-2014-5356).
 */
export async function findLocation(
  context: LocationContext,
  imageId: string,
  { store, by, supposed }: NamedObject,
  formats: Formats | null,
  untilMs = lookUntil(context.timer),
): Promise<FoundLocation> {
  const { key } = supposed.location;
  const look = async (signal: AbortSignal): Promise<FoundLocation> => {
    const { sizeBytes } = (await store.stat(key)) ?? missing();
    const cap = context.rules.limits.imageSizeCapBytes;
    if (exceeds(sizeBytes, cap)) throw overCap(cap);
    const object = { key, sizeBytes };
    const virtualSizeBytes =
      formats === null ? null : await inspectContent(context, { ...formats, imageId, store, signal }, object);
    return { ...supposed, sizeBytes, virtualSizeBytes };
  };
  return told(by, () => lookInTime(context.timer, untilMs, look));
}

/** When the look at what a request names that begins now must have ended. */
export function lookUntil(timer: Timer): number {
  return timer.elapsedMs() + LOOK_MS;
}

/** The effects that have data read which this node found somewhere, for its digests. */
export function hashEffects(
  { secureHash, nodeId }: HashingNode,
  { id: imageId }: Image,
  candidate: FoundLocation | null,
): readonly Effect[] {
  return secureHash ? [{ kind: 'put-work', work: { nodeId, kind: 'hash', imageId, candidate } }] : [];
}

/** The same for what is left of an image whose map went with a location. */
export function unmappedEffects(node: HashingNode, before: Image, after: Image): readonly Effect[] {
  const mapOf = (image: Image): FileMapRef | null => dataOf(image)?.fileMap ?? null;
  const isUnmapped = mapOf(before) !== null && mapOf(after) === null;
  return isUnmapped && dataOf(after)?.locations.some(isUnread) === true ? hashEffects(node, before, null) : [];
}

/**
 * Users who may name any host learn of it only whether there is an object: with words of their own for a port that is closed, one
 * that is silent and one that answers something else, the service would scan ports for them (CVE-2017-7200).
 */
async function told<T>(by: LocationNaming['by'], look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    const isOurs = failedWith(error, 'LIMIT_EXCEEDED') || failedWith(error, 'UNSUPPORTED_MEDIA');
    if (by === 'services' || isOurs || !(error instanceof ServiceError)) throw error;
    return missing(error);
  }
}

function missing(cause?: unknown): never {
  throw new ServiceError('INVALID_ARGUMENT', 'url: there is no such object, or it cannot be read', { cause });
}
