/** What becomes of an image whose data is found damaged somewhere, and of one that is repaired. */
import { ServiceError } from '../base/service-error.js';
import { dataOf, type Image, type ImageData } from './image.js';
import { checkSame } from './image-copy.js';
import { type Finding, type Location, mapLeft } from './location.js';

/** The image with the mark at one of its locations, or without it when that is whole. */
export function withFinding(image: Image, id: string, found: Finding): Image {
  if (!('data' in image)) return image;
  const locations = image.data.locations.map((location) => {
    if (location.id !== id) return location;
    return found === 'whole' ? withoutMark(location) : { ...location, damage: found };
  });
  return { ...image, data: { ...image.data, locations } };
}

function withoutMark({ id, nodeId, storeId, key, metadata, digest, created }: Location): Location {
  return { id, nodeId, storeId, key, metadata, digest, created };
}

/** The location that a copy by this node may take the place of. STATE_CONFLICT: there is none any more. */
export function damagedLocation(
  image: Image,
  wanted: Pick<Location, 'id' | 'storeId'> & { readonly isOwn: (location: Location) => boolean },
): Location {
  const location = dataOf(image)?.locations.find(({ id }) => id === wanted.id);
  const mayGo = location?.damage !== undefined && location.created && location.storeId === wanted.storeId;
  if (location !== undefined && mayGo && wanted.isOwn(location)) return location;
  throw new ServiceError('STATE_CONFLICT', `Image ${image.id} has no such damaged location any more.`);
}

/** The image with the copy in the place of a location. DATA_CORRUPT: what was copied is not the data of the image. */
export function withReplacement(image: Image, copy: ImageData, replaced: Location): Image {
  const data = dataOf(image);
  const [made] = copy.locations;
  if (data === undefined || !('data' in image) || made === undefined)
    throw new ServiceError('STATE_CONFLICT', `Image ${image.id} has no data to be repaired.`);
  checkSame(image.id, data, copy);
  const { metadata } = replaced;
  const locations = data.locations.map((location) => (location.id === replaced.id ? { ...made, metadata } : location));
  const fileMap = mapLeft(data.fileMap, { before: data.locations, left: locations }) ?? copy.fileMap;
  return { ...image, data: { ...data, locations, fileMap } };
}
