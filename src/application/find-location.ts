import type { NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import type { ExpectedData, FoundLocation } from '../domain/location-change.js';
import { parseLocationUrl, refusedUrl } from '../domain/location-url.js';
import { isService } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import type { StoreRegistry } from './store-registry.js';

/** What the use cases that change locations work with. */
export interface LocationContext extends CatalogContext {
  readonly nodeId: NodeId;
  readonly stores: StoreRegistry;
  readonly hashingAlgorithm: string;
}

/** A location as a caller names it. */
export interface NamedLocation {
  readonly url: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly expected: ExpectedData | null;
}

/**
 * Finds the object that a URL names; call it when the caller was found to have the right to the image (CVE-2026-71198: a target
 * is not contacted before). INVALID_ARGUMENT: no such object, or none that may be named by URL. FORBIDDEN: a service may.
 */
export async function findLocation(
  context: LocationContext,
  caller: Caller,
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
    expected,
  };
}
