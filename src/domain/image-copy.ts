/** What becomes of an image that was copied into another store. */
import type { StoreId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { dataOf, type Image, type ImageData } from './image.js';
import { exceeds, type Limits } from './limits.js';

/**
 * The image with the copy as its last location. DATA_CORRUPT: what was copied is not the data of the image. Others as beginCopy:
 * two copies may have been made at once.
 */
export function withCopy(image: Image, copy: ImageData, limits: Limits): Image {
  const data = dataOf(image);
  const [location] = copy.locations;
  if (data === undefined || !('data' in image) || location === undefined)
    throw new ServiceError('STATE_CONFLICT', `Image ${image.id} has no data to be copied.`);
  checkSame(image.id, data, copy);
  checkRoomForCopy(data, location, limits);
  return {
    ...image,
    data: {
      ...data,
      // Digests that nobody had computed are those of what was read now.
      checksum: data.checksum ?? copy.checksum,
      osHashAlgo: data.osHashAlgo ?? copy.osHashAlgo,
      osHashValue: data.osHashValue ?? copy.osHashValue,
      locations: [...data.locations, location],
      fileMap: data.fileMap ?? copy.fileMap,
    },
  };
}

/** ALREADY_EXISTS: the image is in this store. LIMIT_EXCEEDED: it has as many locations as it may. */
export function checkRoomForCopy(
  data: ImageData,
  place: { readonly storeId: StoreId; readonly nodeId: string | null },
  limits: Limits,
): void {
  if (data.locations.some(({ storeId, nodeId }) => storeId === place.storeId && nodeId === place.nodeId))
    throw new ServiceError('ALREADY_EXISTS', `The image is in store ${place.storeId} already.`);
  if (exceeds(data.locations.length + 1, limits.imageLocationQuota))
    throw new ServiceError('LIMIT_EXCEEDED', `an image may have at most ${limits.imageLocationQuota} locations`);
}

/** DATA_CORRUPT: the copy is not of the data. */
export function checkSame(id: string, data: ImageData, copy: ImageData): void {
  const same =
    data.sizeBytes === copy.sizeBytes &&
    (data.checksum === null || data.checksum === copy.checksum) &&
    (data.osHashAlgo !== copy.osHashAlgo || data.osHashValue === copy.osHashValue);
  if (!same) throw new ServiceError('DATA_CORRUPT', `What was read of image ${id} is not what its digests say.`);
}
