import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { authorize } from '../domain/policy.js';
import type { DataContext } from './data-context.js';
import { findImage } from './find-image.js';
import { type Download, openDownload } from './open-download.js';
import type { UploadCommands } from './ports/upload-commands.js';
import { storeLeased } from './upload-image.js';

/** Opens the data that is to be copied; undefined when there is none. FORBIDDEN: no administrator. Others: see openDownload. */
export async function openForCopy(
  context: DataContext,
  caller: Caller,
  imageId: string,
  signal: AbortSignal,
): Promise<Download | undefined> {
  await context.catalog.read((reader) => authorize('copy_image', caller, findImage(reader, caller, imageId)));
  return openDownload(context, caller, { imageId, range: null, prefer: [], pastCache: true }, signal);
}

/**
 * Copies the data of an active image into a store of this node, from wherever it lies; it is a location when this resolves, and
 * its digests were those of the image. A copy that ends early leaves nothing. STATE_CONFLICT: there is no data. INVALID_ARGUMENT:
 * no such store. Others: those of beginCopy, commitUpload, the store and what the source throws.
 */
export async function copyImage<Result>(
  context: DataContext,
  request: { readonly imageId: string; readonly source: Download | undefined; readonly storeName: string },
  commands: UploadCommands<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const { imageId, source } = request;
  if (source === undefined) throw new ServiceError('STATE_CONFLICT', `Image ${imageId} has no data to be copied.`);
  const store = context.stores.named(request.storeName);
  // Whichever node wrote it: there is one such store.
  const isThere = source.data.locations.some(({ storeId }) => storeId === store.id);
  if (isThere && context.stores.isShared(store.id))
    throw new ServiceError('ALREADY_EXISTS', `The image is in store ${store.id} already.`);
  const isChecked = source.data.fileMap !== null;
  const lease = { imageId, declaredSizeBytes: source.data.sizeBytes, store, copy: true, isChecked };
  return storeLeased(context, lease, commands, source.chunks, signal);
}
