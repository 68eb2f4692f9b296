/** The calls about locations beside the changes of an image: list them, add the first, take the image out of a store. */
import { asStoreId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { commonOf, dataOf, type Image } from '../domain/image.js';
import { changeLocations, type ExpectedData, type FoundLocation, removeLocations } from '../domain/location-change.js';
import { authorize } from '../domain/policy.js';
import { parseLocationUrl } from '../domain/location-url.js';
import type { CatalogContext } from './catalog-context.js';
import { changeImage, isRepeated } from './change-image.js';
import { findImage } from './find-image.js';
import {
  checkInspected,
  findLocation,
  formatsToInspect,
  hashEffects,
  unmappedEffects,
  type LocationContext,
  nameLocation,
} from './find-location.js';
import type { Garbage } from './ports/catalog.js';
import { type ChangedImage, garbageBetween, garbageEffects } from './image-garbage.js';

/** Returns the image whose locations are asked for. NOT_FOUND. FORBIDDEN: neither service nor administrator. */
export async function imageWithLocations(
  context: Pick<CatalogContext, 'catalog'>,
  caller: Caller,
  imageId: string,
): Promise<Image> {
  return context.catalog.read((reader) => {
    const image = findImage(reader, caller, imageId);
    authorize('fetch_image_location', caller, image);
    return image;
  });
}

/**
 * Makes a queued image active with data that lies somewhere already (Images API v2 §6.9.2); one whose data is said to have certain
 * digests is importing until it was read. STATE_CONFLICT: not queued. Others: see findLocation and changeLocations.
 */
export async function addImageLocation(
  context: LocationContext,
  caller: Caller,
  request: {
    readonly imageId: string;
    readonly requestId: string;
    readonly url: string;
    readonly expected: ExpectedData | null;
  },
): Promise<Image> {
  const { imageId: id, requestId, url, expected } = request;
  parseLocationUrl(url);
  const change = { id, requestId, expectVersion: undefined, change: 'add location' } as const;
  const planned = await context.catalog.read((reader) => {
    const image = findImage(reader, caller, id);
    authorize('add_image_location', caller, image);
    if (isRepeated(context, reader, caller, { ...change, image })) return { image, object: undefined };
    const object = nameLocation(context, caller, image, { url, metadata: new Map(), expected });
    const after = withFirstLocation(context, caller, image, object.supposed);
    return { image, object, formats: formatsToInspect(image, after) };
  });
  if (planned.object === undefined) return planned.image;
  const { object, formats } = planned;
  const found = await findLocation(context, planned.image.id, object, formats);
  return changeImage(context, caller, change, (before) => {
    authorize('add_image_location', caller, before);
    const changed = withFirstLocation(context, caller, before, found);
    checkInspected(before, changed, formats);
    // What was said of the data holds once it was read.
    const waits = context.secureHash && expected !== null;
    const next: Image = waits ? { ...commonOf(before), status: 'importing' } : changed;
    const after = { ...next, version: before.version + 1, updatedAtMs: context.clock.nowMs() };
    const work = hashEffects(context, before, waits ? found : null);
    return { image: after, effects: [{ kind: 'update-image', before, after }, ...work] };
  });
}

/** STATE_CONFLICT: the image is not queued. Others: see changeLocations. */
function withFirstLocation(context: LocationContext, caller: Caller, before: Image, found: FoundLocation): Image {
  if (before.status !== 'queued')
    throw new ServiceError(
      'STATE_CONFLICT',
      `A location can be added so to a queued image, this one is ${before.status}.`,
    );
  const { rules } = context;
  // Here any algorithm that the image may name will do.
  const hashingAlgorithm = found.expected?.osHashAlgo ?? context.hashingAlgorithm;
  return changeLocations(before, { kind: 'add', found, index: null }, { caller, rules, hashingAlgorithm });
}

/**
 * Takes an image out of a store (Images API v2 §6.13). NOT_FOUND: absent, invisible, or not in the store. STATE_CONFLICT: not
 * active, or there is no such store. FORBIDDEN: no right, or its only copy.
 */
export async function removeFromStore(
  context: LocationContext,
  caller: Caller,
  request: { readonly imageId: string; readonly store: string; readonly requestId: string },
): Promise<ChangedImage> {
  const { imageId: id, requestId } = request;
  const storeId = asStoreId(request.store);
  let garbage: readonly Garbage[] = [];
  const image = await changeImage(
    context,
    caller,
    { id, requestId, expectVersion: undefined, change: `remove from ${storeId}` },
    (before, reader) => {
      authorize('delete_image_location', caller, before);
      const known =
        context.stores.get(storeId) !== undefined || reader.nodes().some(({ stores }) => stores.includes(storeId));
      if (!known) throw new ServiceError('STATE_CONFLICT', 'There is no such store.');
      const inStore = dataOf(before)?.locations.some((location) => location.storeId === storeId) === true;
      if (!inStore && before.status === 'active')
        throw new ServiceError('NOT_FOUND', `Image ${before.id} is not in store ${storeId}.`);
      const changed = removeLocations(before, (location) => location.storeId === storeId);
      const after = { ...changed, version: before.version + 1, updatedAtMs: context.clock.nowMs() };
      garbage = garbageBetween(before, after);
      const work = unmappedEffects(context, before, after);
      return { image: after, effects: [{ kind: 'update-image', before, after }, ...garbageEffects(garbage), ...work] };
    },
  );
  return { image, garbage };
}
