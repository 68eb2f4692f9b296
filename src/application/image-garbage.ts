import { dataOf, type Image } from '../domain/image.js';
import { mapPlaces, objectsGone } from '../domain/location.js';
import type { Effect, Garbage } from './ports/catalog.js';

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

/** The effects that have objects removed. */
export function garbageEffects(rows: readonly Garbage[]): readonly Effect[] {
  return rows.map((garbage) => ({ kind: 'add-garbage', garbage }));
}

/** The image as it is now, and the objects that it needs no more. */
export interface ChangedImage {
  readonly image: Image;
  readonly garbage: readonly Garbage[];
}

/** The objects that go when the image loses locations; its map may outlive the one that it lay beside. */
export function garbageBetween(before: Image, after: Image): readonly Garbage[] {
  const { locations, fileMap } = dataOf(after) ?? { locations: [], fileMap: null };
  const gone = objectsGone(dataOf(before)?.locations ?? [], locations);
  return gone.filter(({ storeId, key }) => storeId !== fileMap?.storeId || key !== fileMap.key);
}
