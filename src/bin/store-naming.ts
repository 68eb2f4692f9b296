import type { ImageStore } from '../application/ports/image-store.js';
import type { LocationNaming } from '../application/store-registry.js';
import { asObjectKey } from '../base/brand.js';

/**
 * Names the objects of a store by the URLs that the store itself gives them: those of the same service and of the same bucket or
 * container, letter by letter. Such a store is read with the service's credentials, so that only services may.
 */
export function namingByUrl(store: Pick<ImageStore, 'url'>): LocationNaming {
  const probe = asObjectKey('k');
  const prefix = probe === undefined ? '' : store.url(probe).slice(0, -probe.length);
  return {
    schemes: [prefix.slice(0, prefix.indexOf(':'))],
    by: 'services',
    locate: (text) => (text.startsWith(prefix) ? asObjectKey(text.slice(prefix.length)) : undefined),
  };
}
