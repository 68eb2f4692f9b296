import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type ChangeRequest, changeImage } from './change-image.js';

/**
 * Blocks the data of an active image, or unblocks it (Images API v2 §6.8). An image that is so already stays as it is.
 * ACTION_FORBIDDEN_BY_STATUS: in any other status. Others: see changeImage.
 */
export async function setActivation(
  context: CatalogContext,
  caller: Caller,
  request: Omit<ChangeRequest, 'expectVersion'> & { readonly action: 'deactivate' | 'reactivate' },
): Promise<Image> {
  return changeImage(context, caller, { ...request, change: request.action, expectVersion: undefined }, (before) => {
    authorize(request.action, caller, before);
    const status = request.action === 'deactivate' ? 'deactivated' : 'active';
    if (before.status === status) return { image: before, effects: [] };
    if (before.status !== 'active' && before.status !== 'deactivated')
      throw new ServiceError(
        'ACTION_FORBIDDEN_BY_STATUS',
        `Not allowed to ${request.action} an image in status '${before.status}': it must be active or deactivated.`,
      );
    const after: Image = { ...before, status, version: before.version + 1, updatedAtMs: context.clock.nowMs() };
    return { image: after, effects: [{ kind: 'update-image', before, after }] };
  });
}
