import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { dataOf, type Image } from '../domain/image.js';
import { mapPlaces, objectsGone } from '../domain/location.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type ChangeRequest, changeImage } from './change-image.js';
import type { Effect, Garbage } from './ports/catalog.js';

/** Members of an image that are told of its deletion; the quota is 128 unless an operator raised it. */
const MEMBERS_TOLD_MAX = 1000;

/**
 * Deletes an image: the record becomes a tombstone and its objects become garbage in one step, and only then is a store
 * touched (CVE-2012-4573). Returns the image as it was, or its tombstone when the request was a repetition. FORBIDDEN: protected, or not the caller's. Others: see changeImage.
 */
export async function deleteImage(context: CatalogContext, caller: Caller, request: ChangeRequest): Promise<Image> {
  return changeImage(context, caller, { ...request, change: 'delete' }, (before, reader) => {
    authorize('delete_image', caller, before);
    if (before.protected) throw new ServiceError('FORBIDDEN', `Image ${before.id} is protected and cannot be deleted.`);
    const deletedAtMs = context.clock.nowMs();
    const told = reader.members(before.id, { after: '', limit: MEMBERS_TOLD_MAX });
    const members = told.map(({ memberId }) => memberId);
    const effects = garbageOf(before).map((garbage): Effect => ({ kind: 'add-garbage', garbage }));
    return { image: before, effects: [{ kind: 'delete-image', before, deletedAtMs, members }, ...effects] };
  });
}

/** The objects that go with the image: those that the service made (LP1546507). */
export function garbageOf(image: Image): readonly Garbage[] {
  const data = dataOf(image);
  if (data === undefined) return [];
  const objects = objectsGone(data.locations, []);
  const { fileMap, locations } = data;
  if (fileMap === null || objects.some(({ storeId, key }) => storeId === fileMap.storeId && key === fileMap.key))
    return objects;
  return [...objects, ...mapPlaces(fileMap, locations).slice(0, 1)];
}

/** The objects that go when the image loses locations. */
export function garbageBetween(before: Image, after: Image): readonly Garbage[] {
  return objectsGone(dataOf(before)?.locations ?? [], dataOf(after)?.locations ?? []);
}
