import { failedWith, ServiceError } from '../base/service-error.js';
import { type RangeRequest, resolveRange } from '../domain/byte-range.js';
import type { Caller } from '../domain/caller.js';
import { dataOf, type Image, type ImageData } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { DataContext } from './data-context.js';
import { findImage } from './find-image.js';
import { isOwn } from './own-objects.js';
import type { ByteRange } from './ports/image-store.js';

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
  const chunks = await openLocation(context, { image, data, range: { offsetBytes, lengthBytes }, signal });
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

interface Wanted {
  readonly image: Image;
  readonly data: ImageData;
  readonly range: ByteRange;
  readonly signal: AbortSignal;
}

// This node's own stores come first, the heaviest first, then those of other nodes. Another size means that somebody changed
// the object under us.
async function openLocation(context: DataContext, wanted: Wanted): Promise<AsyncIterable<Uint8Array>> {
  const { image, data, range, signal } = wanted;
  const own = data.locations.filter((location) => isOwn(context, location));
  own.sort((a, b) => context.stores.weight(b.storeId) - context.stores.weight(a.storeId));
  for (const location of own) {
    const store = context.stores.get(location.storeId);
    const found = await store?.stat(location.key);
    if (store !== undefined && found?.sizeBytes === data.sizeBytes) return store.read(location.key, range, { signal });
    context.log.error({ imageId: image.id, location: location.id, found }, 'location without its object');
  }
  let failure: unknown;
  for (const location of data.locations) {
    if (context.peers === null || isOwn(context, location)) continue;
    try {
      return await context.peers.open(location, range, { sizeBytes: data.sizeBytes, signal });
    } catch (error) {
      signal.throwIfAborted();
      context.log.warn(
        { err: error, imageId: image.id, location: location.id },
        'location not readable, trying the next',
      );
      failure ??= error;
    }
  }
  // A node that cannot be reached may come back; an object that is nowhere will not.
  if (failedWith(failure, 'UNAVAILABLE')) throw failure;
  throw new ServiceError(
    'UPSTREAM_FAILED',
    `The data of image ${image.id} is not in any store that this node can reach.`,
    { cause: failure },
  );
}
