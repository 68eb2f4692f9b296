import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { applyChanges, type ImageChange } from '../domain/image-change.js';
import type { FoundLocation } from '../domain/location-change.js';
import { exceeds } from '../domain/limits.js';
import { authorize } from '../domain/policy.js';
import { type ChangeRequest, changeImage, isRepeated } from './change-image.js';
import { findImage } from './find-image.js';
import {
  checkInspected,
  findLocation,
  formatsToInspect,
  hashEffects,
  unmappedEffects,
  lookUntil,
  type LocationContext,
  type NamedLocation,
  type NamedObject,
  nameLocation,
} from './find-location.js';
import { type ChangedImage, garbageBetween, garbageEffects } from './image-garbage.js';
import type { Garbage } from './ports/catalog.js';
import type { Formats } from './read-for-digests.js';

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
  const { changes, inspected } = await foundChanges(context, caller, request);
  let garbage: readonly Garbage[] = [];
  const image = await changeImage(context, caller, { ...request, change: 'update' }, (before) => {
    garbage = [];
    // Images API v2 §6.4: an empty patch changes nothing, whoever sends it.
    if (changes.length === 0) return { image: before, effects: [] };
    const after = changedImage(context, caller, before, changes);
    const adds = changes.some((change) => change.field === 'location' && change.change.kind === 'add');
    if (adds) checkInspected(before, after, inspected);
    garbage = garbageBetween(before, after);
    const work = adds ? hashEffects(context, before, null) : unmappedEffects(context, before, after);
    return { image: after, effects: [{ kind: 'update-image', before, after }, ...garbageEffects(garbage), ...work] };
  });
  return { image, garbage };
}

function changedImage(context: LocationContext, caller: Caller, before: Image, changes: readonly ImageChange[]): Image {
  // A service may add locations to images that are not its own.
  const onlyAdds = changes.every((change) => change.field === 'location' && change.change.kind === 'add');
  authorize(onlyAdds ? 'set_image_location' : 'modify_image', caller, before);
  return applyChanges(before, changes, {
    caller,
    rules: context.rules,
    protection: context.protection,
    hashingAlgorithm: context.hashingAlgorithm,
    nowMs: context.clock.nowMs(),
  });
}

interface FoundChanges {
  readonly changes: readonly ImageChange[];
  /** What the content of added locations was inspected for; null: it was not. */
  readonly inspected: Formats | null;
}

/** Stores are asked before the image's turn, and only when the image as it is may be changed so, whatever they say. */
async function foundChanges(
  context: LocationContext,
  caller: Caller,
  request: ChangeRequest & { readonly changes: readonly RequestedChange[] },
): Promise<FoundChanges> {
  const additions = request.changes.filter(({ field }) => field === 'new-location').length;
  const quota = context.rules.limits.imageLocationQuota;
  if (exceeds(additions, quota))
    throw new ServiceError('LIMIT_EXCEEDED', `an image may have at most ${quota} locations`);
  if (additions === 0) return { changes: withObjects(request.changes, []), inspected: null };
  const planned = await context.catalog.read((reader) => {
    const image = findImage(reader, caller, request.id);
    if (isRepeated(context, reader, caller, { ...request, image, change: 'update' })) return undefined;
    return plannedChange(context, caller, image, request.changes);
  });
  if (planned === undefined) return { changes: [], inspected: null };
  const { imageId, objects, formats } = planned;
  const found: FoundLocation[] = [];
  const untilMs = lookUntil(context.timer);
  for (const object of objects) found.push(await findLocation(context, imageId, object, formats, untilMs));
  return { changes: withObjects(request.changes, found), inspected: formats };
}

/** Reads the URLs, and what the image would be if there were such objects. */
function plannedChange(
  context: LocationContext,
  caller: Caller,
  image: Image,
  changes: readonly RequestedChange[],
): {
  readonly imageId: string;
  readonly objects: readonly NamedObject[];
  readonly formats: Formats | null;
} {
  authorize('set_image_location', caller, image);
  const objects = changes.flatMap((change) =>
    change.field === 'new-location' ? [nameLocation(context, caller, image, change.named)] : [],
  );
  const supposed = objects.map((object) => object.supposed);
  const after = changedImage(context, caller, image, withObjects(changes, supposed));
  return { imageId: image.id, objects, formats: formatsToInspect(image, after) };
}

/** The changes with these locations, in order, for those that were named. */
function withObjects(changes: readonly RequestedChange[], found: readonly FoundLocation[]): readonly ImageChange[] {
  const rest = [...found];
  return changes.flatMap((change): readonly ImageChange[] => {
    if (change.field !== 'new-location') return [change];
    const next = rest.shift();
    return next === undefined ? [] : [{ field: 'location', change: { kind: 'add', found: next, index: change.index } }];
  });
}
