import { asUploadId, type UploadId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { checkRoomForCopy } from '../domain/image-copy.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { changeImage } from './change-image.js';
import { type BeginUpload, leaseOf } from './upload-lease.js';

/**
 * Leases the copy of an active image to a node. FORBIDDEN: no administrator. STATE_CONFLICT: not active. ALREADY_EXISTS: the store
 * has it. LIMIT_EXCEEDED: it has as many locations as it may.
 */
export async function beginCopy(
  context: CatalogContext,
  caller: Caller,
  request: BeginUpload,
): Promise<{ readonly image: Image; readonly uploadId: UploadId }> {
  const uploadId = asUploadId(context.ids.uuid());
  const image = await changeImage(
    context,
    caller,
    { id: request.imageId, change: 'copy', requestId: '', expectVersion: undefined },
    (before) => {
      authorize('copy_image', caller, before);
      if (before.status !== 'active')
        throw new ServiceError('STATE_CONFLICT', `Only active images can be copied, this one is ${before.status}.`);
      checkRoomForCopy(before.data, { storeId: request.storeId, nodeId: request.nodeId }, context.rules.limits);
      return {
        image: before,
        effects: [
          { kind: 'require-image', id: before.id, version: before.version },
          { kind: 'insert-upload', upload: leaseOf(context, request, { imageId: before.id, uploadId }) },
        ],
      };
    },
  );
  return { image, uploadId };
}
