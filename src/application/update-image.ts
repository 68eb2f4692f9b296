import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { applyChanges, type ImageChange } from '../domain/image-change.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type ChangeRequest, changeImage } from './change-image.js';

/** Applies changes to an image, all or none. Reasons: see applyChanges and changeImage. */
export async function updateImage(
  context: CatalogContext,
  caller: Caller,
  request: ChangeRequest & { readonly changes: readonly ImageChange[] },
): Promise<Image> {
  return changeImage(context, caller, { ...request, change: 'update' }, (before) => {
    // Images API v2 §6.4: an empty patch changes nothing, whoever sends it.
    if (request.changes.length === 0) return { image: before, effects: [] };
    authorize('modify_image', caller, before);
    const after = applyChanges(before, request.changes, {
      caller,
      rules: context.rules,
      protection: context.protection,
      nowMs: context.clock.nowMs(),
    });
    return { image: after, effects: [{ kind: 'update-image', before, after }] };
  });
}
