import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { dataOf, type Image } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type ChangeRequest, changeImage } from './change-image.js';
import type { Effect } from './ports/catalog.js';

/**
 * Deletes an image: the record becomes a tombstone and its objects become garbage in one step, and only then is a store
 * touched (CVE-2012-4573). FORBIDDEN: protected, or not the caller's. Others: see changeImage.
 */
export async function deleteImage(context: CatalogContext, caller: Caller, request: ChangeRequest): Promise<Image> {
  return changeImage(context, caller, request, (before) => {
    authorize('delete_image', caller, before);
    if (before.protected) throw new ServiceError('FORBIDDEN', `Image ${before.id} is protected and cannot be deleted.`);
    const deletedAtMs = context.clock.nowMs();
    return { image: before, effects: [{ kind: 'delete-image', before, deletedAtMs }, ...garbageOf(before)] };
  });
}

function garbageOf(image: Image): readonly Effect[] {
  const data = dataOf(image);
  if (data === undefined) return [];
  const objects = data.fileMap === null ? data.locations : [...data.locations, data.fileMap];
  return objects.map(({ storeId, key }) => ({ kind: 'add-garbage', garbage: { storeId, key } }));
}
