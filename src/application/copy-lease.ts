import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { checkRoomForCopy } from '../domain/image-copy.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { beginLease, type BeginUpload, type Begun } from './upload-lease.js';

/**
 * Leases the copy of an active image to a node. FORBIDDEN: no administrator. STATE_CONFLICT: not active. ALREADY_EXISTS: the store
 * has it. LIMIT_EXCEEDED: it has as many locations as it may.
 */
export async function beginCopy(context: CatalogContext, caller: Caller, request: BeginUpload): Promise<Begun> {
  return beginLease(context, caller, { ...request, change: 'copy' }, (before) => {
    authorize('copy_image', caller, before);
    if (before.status !== 'active')
      throw new ServiceError('STATE_CONFLICT', `Only active images can be copied, this one is ${before.status}.`);
    checkRoomForCopy(before.data, { storeId: request.storeId, nodeId: request.nodeId }, context.rules.limits);
    return { image: before, effects: [{ kind: 'require-image', id: before.id, version: before.version }] };
  });
}
