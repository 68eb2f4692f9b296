import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { applyChanges, type ImageChange } from '../domain/image-change.js';
import { exceeds } from '../domain/limits.js';
import { authorize } from '../domain/policy.js';
import { type ChangeRequest, changeImage } from './change-image.js';
import { findImage } from './find-image.js';
import { findLocation, hashEffects, lookUntil, type LocationContext, type NamedLocation } from './find-location.js';
import { type ChangedImage, garbageBetween, garbageEffects } from './image-garbage.js';
import type { Garbage } from './ports/catalog.js';

/** A change as it is asked for: a location that is to be added is named, not found yet. */
export type RequestedChange =
  | ImageChange
  | { readonly field: 'new-location'; readonly named: NamedLocation; readonly index: number | null };

/** Applies changes to an image, all or none. Reasons: see applyChanges, findLocation and changeImage. */
export async function updateImage(
  context: LocationContext,
  caller: Caller,
  request: ChangeRequest & { readonly changes: readonly RequestedChange[] },
): Promise<ChangedImage> {
  const changes = await foundChanges(context, caller, request);
  let garbage: readonly Garbage[] = [];
  const image = await changeImage(context, caller, { ...request, change: 'update' }, (before) => {
    garbage = [];
    // Images API v2 §6.4: an empty patch changes nothing, whoever sends it.
    if (changes.length === 0) return { image: before, effects: [] };
    // A service may add locations to images that are not its own.
    const onlyAdds = changes.every((change) => change.field === 'location' && change.change.kind === 'add');
    authorize(onlyAdds ? 'set_image_location' : 'modify_image', caller, before);
    const after = applyChanges(before, changes, {
      caller,
      rules: context.rules,
      protection: context.protection,
      hashingAlgorithm: context.hashingAlgorithm,
      nowMs: context.clock.nowMs(),
    });
    garbage = garbageBetween(before, after);
    const adds = changes.some((change) => change.field === 'location' && change.change.kind === 'add');
    const work = adds ? hashEffects(context, before, null) : [];
    return { image: after, effects: [{ kind: 'update-image', before, after }, ...garbageEffects(garbage), ...work] };
  });
  return { image, garbage };
}

// Stores are asked before the image's turn, and only for a caller who may change the image.
async function foundChanges(
  context: LocationContext,
  caller: Caller,
  request: { readonly id: string; readonly changes: readonly RequestedChange[] },
): Promise<readonly ImageChange[]> {
  const { changes } = request;
  const additions = changes.filter(({ field }) => field === 'new-location').length;
  const quota = context.rules.limits.imageLocationQuota;
  if (exceeds(additions, quota))
    throw new ServiceError('LIMIT_EXCEEDED', `an image may have at most ${quota} locations`);
  let image: Image | undefined;
  const found: ImageChange[] = [];
  const untilMs = lookUntil(context.timer);
  for (const change of changes)
    if (change.field !== 'new-location') found.push(change);
    else {
      image ??= await imageToAddTo(context, caller, request.id);
      const added = await findLocation(context, caller, image, change.named, untilMs);
      found.push({ field: 'location', change: { kind: 'add', found: added, index: change.index } });
    }
  return found;
}

async function imageToAddTo(context: LocationContext, caller: Caller, imageId: string): Promise<Image> {
  return context.catalog.read((reader) => {
    const image = findImage(reader, caller, imageId);
    authorize('set_image_location', caller, image);
    return image;
  });
}
