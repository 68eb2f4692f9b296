import type { ObjectKey } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import type { ExpectedData, FoundLocation } from '../domain/location-change.js';
import type { Image } from '../domain/image.js';
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
import type { LocationNaming } from './store-registry.js';
import { overCap } from './upload-lease.js';

/** So long may the objects that one request names be looked at: its caller waits, an edge for at most 30 s. */
const LOOK_MS = 20_000;

/** What the use cases that change locations work with. */
export interface LocationContext
  extends CatalogContext,
    Pick<DataContext, 'nodeId' | 'stores' | 'hashingAlgorithm' | 'secureHash' | 'formatMatch' | 'log' | 'timer'> {}

/** A location as a caller names it. */
export interface NamedLocation {
  readonly url: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly expected: ExpectedData | null;
}

/**
 * Finds the object that a URL names; call it when the caller was found to have the right to the image (CVE-2026-71198: a target
 * is not contacted before). Of a queued image the content is inspected. INVALID_ARGUMENT: no such object, or none that may be named
 * by URL. FORBIDDEN: a service may. UNSUPPORTED_MEDIA: see inspectContent. LIMIT_EXCEEDED: larger than an image may be
 * (CVE-2014-5356).
 */
export async function findLocation(
  context: LocationContext,
  caller: Caller,
  image: Image,
  { url, metadata, expected }: NamedLocation,
  untilMs = lookUntil(context.timer),
): Promise<FoundLocation> {
  parseLocationUrl(url);
  const named = context.stores.locate(url);
  if (named === undefined) throw refusedUrl();
  const { store, key, by } = named;
  if (by === 'services' && !isAdmin(caller) && !isService(caller))
    throw new ServiceError('FORBIDDEN', 'Only services and administrators may name objects of this store.');
  const look = async (signal: AbortSignal): Promise<Pick<FoundLocation, 'sizeBytes' | 'virtualSizeBytes'>> => {
    const { sizeBytes } = (await store.stat(key)) ?? missing();
    const cap = context.rules.limits.imageSizeCapBytes;
    if (exceeds(sizeBytes, cap)) throw overCap(cap);
    return { sizeBytes, virtualSizeBytes: await inspected(context, image, { key, sizeBytes, store, signal }) };
  };
  const found = await told(by, () => lookInTime(context.timer, untilMs, look));
  return {
    location: {
      id: context.ids.uuid(),
      ...{ nodeId: context.nodeId, storeId: store.id, key, metadata },
      digest: 'unverified',
      created: false,
    },
    ...found,
    expected,
  };
}

/** When the look at what a request names that begins now must have ended. */
export function lookUntil(timer: Timer): number {
  return timer.elapsedMs() + LOOK_MS;
}

/** The effects that have data read which this node found somewhere, for its digests. */
export function hashEffects(
  { secureHash, nodeId }: LocationContext,
  { id: imageId }: Image,
  candidate: FoundLocation | null,
): readonly Effect[] {
  return secureHash ? [{ kind: 'put-work', work: { nodeId, kind: 'hash', imageId, candidate } }] : [];
}

// What an image has already was inspected, and the digests tell whether this is the same.
async function inspected(
  context: LocationContext,
  image: Image,
  object: {
    readonly key: ObjectKey;
    readonly sizeBytes: number;
    readonly store: ImageStore;
    readonly signal: AbortSignal;
  },
): Promise<number | null> {
  const { id: imageId, diskFormat, containerFormat } = image;
  if (image.status !== 'queued' || diskFormat === null || containerFormat === null) return null;
  const { store, signal } = object;
  return inspectContent(context, { imageId, diskFormat, containerFormat, store, signal }, object);
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
