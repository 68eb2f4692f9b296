import type { Capacity } from '../../application/ports/image-store.js';
import type { Backend } from '../remote/backend.js';
import type { SwiftPlaces } from './swift-places.js';

/**
 * What the quotas leave (Swift, "Container quotas", "Account quotas"): the least of the account's and those of the
 * containers; undefined when none is set, or none may be seen.
 */
export async function quotaOf(backend: Backend, { container, segments }: SwiftPlaces): Promise<Capacity | undefined> {
  const asked = [
    { path: '', quota: 'x-account-meta-quota-bytes', used: 'x-account-bytes-used' },
    ...[container, segments].map((path) => ({
      ...{ path, quota: 'x-container-meta-quota-bytes', used: 'x-container-bytes-used' },
    })),
  ].map(async ({ path, quota, used }): Promise<Capacity[]> => {
    const call = { method: 'HEAD', path, doing: 'asking for quotas', accept: [200, 204, 403, 404] } as const;
    const { headers } = await backend.call(call);
    const totalBytes = Number(headers[quota] ?? Number.NaN);
    if (!Number.isSafeInteger(totalBytes) || totalBytes < 0) return [];
    return [{ totalBytes, freeBytes: Math.max(0, totalBytes - Number(headers[used] ?? 0)) }];
  });
  const known = (await Promise.all(asked)).flat();
  return known.sort((a, b) => a.freeBytes - b.freeBytes)[0];
}
