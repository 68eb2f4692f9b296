/** The data of a finished upload, from and to its message. */
import { asObjectKey, asStoreId, type ObjectKey, type StoreId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageData } from '../domain/image.js';
import type { CommitUploadRequest, StoredObject } from '../gen/oriel/catalog/v1/catalog_service.js';
import { numberOf } from './image-request.js';

/** Turns the message into the data of an image. INVALID_ARGUMENT: an object is missing or out of form. */
export function uploadedDataOf(message: CommitUploadRequest): ImageData {
  const data = objectOf(message.data, 'data');
  const fileMap = message.fileMap === undefined ? null : objectOf(message.fileMap, 'file_map');
  const place = { id: message.uploadId, nodeId: null, storeId: data.storeId, key: data.key };
  return {
    sizeBytes: data.sizeBytes,
    virtualSizeBytes: numberOf(message.virtualSize, 'virtual_size'),
    checksum: message.checksum,
    osHashAlgo: message.osHashAlgo,
    osHashValue: message.osHashValue,
    // Whose store it is, the lease says.
    locations: [{ ...place, metadata: new Map(), digest: 'verified', created: true }],
    fileMap,
  };
}

/** Turns the data of an image into the message that commits it. */
export function commitMessageOf(
  lease: { imageId: string; uploadId: string; replaces: string },
  data: ImageData,
): CommitUploadRequest {
  const [location] = data.locations;
  assert(location !== undefined, 'uploaded data has a location');
  return {
    ...lease,
    data: { store: location.storeId, key: location.key, size: BigInt(data.sizeBytes), sha256: '' },
    fileMap:
      data.fileMap === null
        ? undefined
        : {
            store: data.fileMap.storeId,
            key: data.fileMap.key,
            size: BigInt(data.fileMap.sizeBytes),
            sha256: data.fileMap.sha256,
          },
    virtualSize: data.virtualSizeBytes === null ? undefined : BigInt(data.virtualSizeBytes),
    checksum: data.checksum ?? '',
    osHashAlgo: data.osHashAlgo ?? '',
    osHashValue: data.osHashValue ?? '',
  };
}

/** The store and key of an object. INVALID_ARGUMENT: it has no key. */
export function placeOf(object: StoredObject): { readonly storeId: StoreId; readonly key: ObjectKey } {
  const { storeId, key } = objectOf(object, 'object');
  return { storeId, key };
}

function objectOf(
  object: StoredObject | undefined,
  name: string,
): { storeId: StoreId; key: ObjectKey; sizeBytes: number; sha256: string } {
  const key = asObjectKey(object?.key ?? '');
  if (object === undefined || key === undefined)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `${name} must name an object by store and key, got ${JSON.stringify(object?.key)}`,
    );
  return {
    storeId: asStoreId(object.store),
    key,
    sizeBytes: numberOf(object.size, `${name}.size`) ?? 0,
    sha256: object.sha256,
  };
}
