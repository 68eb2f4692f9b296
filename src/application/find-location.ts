import type { ObjectKey } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import type { ExpectedData, FoundLocation } from '../domain/location-change.js';
import type { Image } from '../domain/image.js';
import { parseLocationUrl, refusedUrl } from '../domain/location-url.js';
import { isService } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import type { DataContext } from './data-context.js';
import { inspectContent } from './inspect-content.js';
import type { Effect } from './ports/catalog.js';
import type { ImageStore } from './ports/image-store.js';

/** What the use cases that change locations work with. */
export interface LocationContext
  extends CatalogContext,
    Pick<DataContext, 'nodeId' | 'stores' | 'hashingAlgorithm' | 'secureHash' | 'formatMatch' | 'log'> {}

/** A location as a caller names it. */
export interface NamedLocation {
  readonly url: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly expected: ExpectedData | null;
}

/**
 * Finds the object that a URL names; call it when the caller was found to have the right to the image (CVE-2026-71198: a target
 * is not contacted before). Of a queued image the content is inspected. INVALID_ARGUMENT: no such object, or none that may be named
 * by URL. FORBIDDEN: a service may. UNSUPPORTED_MEDIA: see inspectContent.
 */
export async function findLocation(
  context: LocationContext,
  caller: Caller,
  image: Image,
  { url, metadata, expected }: NamedLocation,
): Promise<FoundLocation> {
  const named = context.stores.locate(parseLocationUrl(url));
  if (named === undefined) throw refusedUrl();
  const { store, key, by } = named;
  if (by === 'services' && !isAdmin(caller) && !isService(caller))
    throw new ServiceError('FORBIDDEN', 'Only services and administrators may name objects of this store.');
  const found = await store.stat(key);
  if (found === undefined) throw new ServiceError('INVALID_ARGUMENT', 'url: there is no such object');
  return {
    location: {
      id: context.ids.uuid(),
      ...{ nodeId: context.nodeId, storeId: store.id, key, metadata },
      digest: 'unverified',
      created: false,
    },
    sizeBytes: found.sizeBytes,
    virtualSizeBytes: await inspected(context, image, store, { key, sizeBytes: found.sizeBytes }),
    expected,
  };
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
  store: ImageStore,
  object: { readonly key: ObjectKey; readonly sizeBytes: number },
): Promise<number | null> {
  const { id: imageId, diskFormat, containerFormat } = image;
  if (image.status !== 'queued' || diskFormat === null || containerFormat === null) return null;
  const { signal } = new AbortController();
  return inspectContent(context, { imageId, diskFormat, containerFormat, store, signal }, object);
}
