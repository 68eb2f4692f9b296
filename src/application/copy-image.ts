import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { dataOf } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { DataContext } from './data-context.js';
import { findImage } from './find-image.js';
import { openDownload } from './open-download.js';
import type { UploadCommands } from './ports/upload-commands.js';
import { storeLeased } from './upload-image.js';

/**
 * Copies the data of an active image into a store of this node, from wherever it lies; it is a location when this resolves, and
 * its digests were those of the image. A copy that ends early leaves nothing. NOT_FOUND. INVALID_ARGUMENT: no such store. Others:
 * those of beginCopy, commitUpload, openDownload and the store.
 */
export async function copyImage<Result>(
  context: DataContext,
  caller: Caller,
  request: { readonly imageId: string; readonly storeName: string },
  commands: UploadCommands<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const { imageId } = request;
  const image = await context.catalog.read((reader) => {
    const found = findImage(reader, caller, imageId);
    authorize('copy_image', caller, found);
    return found;
  });
  const store = context.stores.named(request.storeName);
  const declaredSizeBytes = dataOf(image)?.sizeBytes;
  const openSource = async (stopped: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
    const opened = await openDownload(context, caller, { imageId, range: null, prefer: [] }, stopped);
    if (opened === undefined) throw new ServiceError('STATE_CONFLICT', `Image ${imageId} has no data to be copied.`);
    return opened.chunks;
  };
  return storeLeased(context, { imageId, declaredSizeBytes, store, copy: true }, commands, openSource, signal);
}
