import type { ProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type ChangeRequest, changeImage } from './change-image.js';
import { type ChangedImage, garbageEffects, garbageOf } from './image-garbage.js';
import type { Effect, Garbage } from './ports/catalog.js';

/** Members of an image that are told of its deletion; the quota is 128 unless an operator raised it. */
const MEMBERS_TOLD_MAX = 1000;

/**
 * Deletes an image: the record becomes a tombstone and its objects become garbage in one step, and only then is a store
 * touched (CVE-2012-4573). Where deletion is delayed, an active image keeps its record and its objects until the time is up
 * (delayed-delete.ts). Returns the image as it was, or as it is now when the request was a repetition, with the objects to be
 * removed. FORBIDDEN: protected, or not the caller's. Others: see changeImage.
 */
export async function deleteImage(
  context: CatalogContext,
  caller: Caller,
  request: ChangeRequest,
): Promise<ChangedImage> {
  let garbage: readonly Garbage[] = [];
  const image = await changeImage(context, caller, { ...request, change: 'delete' }, (before, reader) => {
    garbage = [];
    authorize('delete_image', caller, before);
    if (before.protected) throw new ServiceError('FORBIDDEN', `Image ${before.id} is protected and cannot be deleted.`);
    const nowMs = context.clock.nowMs();
    const told = reader.members(before.id, { after: '', limit: MEMBERS_TOLD_MAX });
    const members = told.map(({ memberId }) => memberId);
    // Images API v2 §4.2: only active images await the scrubber.
    if (context.rules.delayedDelete === true && before.status === 'active') {
      const after: Image = { ...before, status: 'pending_delete', version: before.version + 1, updatedAtMs: nowMs };
      return { image: before, effects: [{ kind: 'update-image', before, after, members }] };
    }
    garbage = garbageOf(before);
    return { image: before, effects: deletion(before, { deletedAtMs: nowMs, members }) };
  });
  return { image, garbage };
}

/** The effects that make a tombstone of the image, and garbage of its objects. */
export function deletion(
  before: Image,
  facts: { readonly deletedAtMs: number; readonly members: readonly ProjectId[] },
): readonly Effect[] {
  return [{ kind: 'delete-image', before, ...facts }, ...garbageEffects(garbageOf(before))];
}
