import { ServiceError } from '../base/service-error.js';
import { type RangeRequest, resolveRange } from '../domain/byte-range.js';
import type { Caller } from '../domain/caller.js';
import { dataOf, type Image, type ImageData } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { DataContext } from './data-context.js';
import { findImage } from './find-image.js';
import type { ImageStore } from './ports/image-store.js';
import type { Location } from '../domain/location.js';

export interface Download {
  readonly image: Image;
  readonly data: ImageData;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** A chunk's memory may be overwritten once the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens the data of an image, or a range of it; undefined when there is none yet (Images API v2 §6.7). NOT_FOUND: absent
 * or invisible. FORBIDDEN: no right, or deactivated. RANGE_INVALID. UPSTREAM_FAILED: no store has the object any more.
 */
export async function openDownload(
  context: DataContext,
  caller: Caller,
  request: { readonly imageId: string; readonly range: RangeRequest | null },
  signal: AbortSignal,
): Promise<Download | undefined> {
  const image = await context.catalog.read((reader) => findImage(reader, caller, request.imageId));
  authorize('download_image', caller, image);
  if (image.status === 'deactivated') authorizeDeactivated(caller, image);
  const data = dataOf(image);
  if (data === undefined || image.status === 'pending_delete') return undefined;
  const { offsetBytes, lengthBytes } = resolveRange(request.range, data.sizeBytes);
  const { store, location } = await chooseLocation(context, image, data);
  const chunks = store.read(location.key, { offsetBytes, lengthBytes }, { signal });
  return { image, data, offsetBytes, lengthBytes, chunks };
}

function authorizeDeactivated(caller: Caller, image: Image): void {
  try {
    authorize('download_deactivated', caller, image);
  } catch (cause) {
    throw new ServiceError(
      'FORBIDDEN',
      `The requested image ${image.id} has been deactivated. Image data download is forbidden.`,
      { cause },
    );
  }
}

// The heaviest store that has the whole object; another size means that somebody changed it under us.
async function chooseLocation(
  context: DataContext,
  image: Image,
  data: ImageData,
): Promise<{ readonly store: ImageStore; readonly location: Location }> {
  const byWeight = [...data.locations].sort(
    (a, b) => context.stores.weight(b.storeId) - context.stores.weight(a.storeId),
  );
  for (const location of byWeight) {
    const store = context.stores.get(location.storeId);
    const found = await store?.stat(location.key);
    if (store !== undefined && found?.sizeBytes === data.sizeBytes) return { store, location };
    context.log.error({ imageId: image.id, location: location.id, found }, 'location without its object');
  }
  throw new ServiceError(
    'UPSTREAM_FAILED',
    `The data of image ${image.id} is not in any store that this node can reach.`,
  );
}
