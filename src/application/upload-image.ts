/**
 * The life of an upload at the node that receives it:
 *   begin (queued → saving, leased) → units of 1 MiB through the hash threads into the store → map of the file →
 *   inspection of the content → commit (active).
 * Whatever fails in between gives the lease up: the image is queued again and the objects go. A crash leaves the lease,
 * which `recover-uploads.ts` gives up at the next start.
 */
import type { UploadId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import { encodeFileMap } from '../blocks/file-map.js';
import { exceeds } from '../domain/limits.js';
import type { FileMapRef } from '../domain/location.js';
import type { ImageData } from '../domain/image.js';
import type { DataContext } from './data-context.js';
import { inspectContent } from './inspect-content.js';
import type { Digests } from './ports/digester.js';
import type { ImageStore } from './ports/image-store.js';
import type { UploadCommands } from './ports/upload-commands.js';
import { objectKeys, overCap } from './upload-lease.js';

export interface UploadRequest {
  readonly imageId: string;
  /** undefined: not announced. */
  readonly declaredSizeBytes: number | undefined;
  /** '': the default store. */
  readonly storeName: string;
}

/**
 * Receives the data of a queued image and makes it active. The source is not pulled before the upload has begun. Reasons:
 * those of beginUpload and commitUpload, the store's, UNSUPPORTED_MEDIA for content unlike its disk_format,
 * INVALID_ARGUMENT for another size than announced, LIMIT_EXCEEDED over the cap, and what the source throws.
 */
export async function uploadImage<Result>(
  context: DataContext,
  request: UploadRequest,
  commands: UploadCommands<Result>,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Result> {
  const { imageId, declaredSizeBytes } = request;
  const store = context.stores.named(request.storeName);
  const from = { imageId, declaredSizeBytes, store, copy: false };
  return storeLeased(context, from, commands, source, signal);
}

/**
 * Stores data under a lease and commits it; gives the lease up when that fails. The source is not pulled before.
 * Reasons: see uploadImage.
 */
export async function storeLeased<Result>(
  context: DataContext,
  request: {
    readonly imageId: string;
    readonly declaredSizeBytes: number | undefined;
    readonly store: ImageStore;
    readonly copy: boolean;
    /** What is copied is checked by a map: it was inspected before the map was made. */
    readonly isChecked?: boolean;
    /** The damaged location that the copy takes the place of. */
    readonly replaces?: string;
  },
  commands: UploadCommands<Result>,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Result> {
  const { store } = request;
  const stop = new AbortController();
  const begun = await begin(context, commands, { ...request, storeId: store.id }, stop);
  const forward = (): void => stop.abort(signal.reason);
  signal.addEventListener('abort', forward, { once: true });
  if (signal.aborted) forward();
  const lease = { imageId: request.imageId, uploadId: begun.uploadId };
  try {
    const limited = limitSize(source, request.declaredSizeBytes, begun.maxSizeBytes);
    const data = await storeData(context, {
      ...{ ...lease, ...begun, store, source: limited, signal: stop.signal, inspects: request.isChecked !== true },
      expectedSizeBytes: request.declaredSizeBytes,
    });
    const { replaces } = request;
    return await commands.commit({ ...lease, data, ...(replaces === undefined ? {} : { replaces }) });
  } catch (error) {
    await giveUp(context, commands, lease);
    throw stop.signal.aborted && stop.signal.reason instanceof ServiceError ? stop.signal.reason : error;
  } finally {
    signal.removeEventListener('abort', forward);
    context.uploads.remove(begun.uploadId);
  }
}

// The upload is known as running from before its lease can be seen, or recovery would give it up as lost.
async function begin<Result>(
  context: DataContext,
  commands: UploadCommands<Result>,
  request: Parameters<UploadCommands<Result>['begin']>[0],
  stop: AbortController,
): ReturnType<UploadCommands<Result>['begin']> {
  const beginning = context.uploads.beginning(request.imageId);
  try {
    const begun = await commands.begin(request);
    context.uploads.add(begun.uploadId, request.imageId, stop);
    return begun;
  } finally {
    beginning.leased();
  }
}

interface Arrival {
  readonly imageId: string;
  readonly uploadId: UploadId;
  readonly diskFormat: string;
  readonly containerFormat: string;
  readonly store: ImageStore;
  readonly inspects: boolean;
  readonly source: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  readonly expectedSizeBytes: number | undefined;
}

async function storeData(context: DataContext, arrival: Arrival): Promise<ImageData> {
  const { store, signal } = arrival;
  const { key, mapKey } = objectKeys(arrival.imageId, arrival.uploadId);
  const session = context.digester.open(context.hashingAlgorithm);
  try {
    const { expectedSizeBytes } = arrival;
    await store.put(key, session.units(arrival.source), {
      signal,
      ...(expectedSizeBytes === undefined ? {} : { expectedSizeBytes }),
    });
    const digests = await session.finish();
    const fileMap = await storeMap(store, mapKey, digests, signal);
    const object = { key, sizeBytes: digests.sizeBytes };
    const virtualSizeBytes = arrival.inspects ? await inspectContent(context, arrival, object) : null;
    const place = { id: arrival.uploadId, nodeId: context.nodeId, storeId: store.id, key };
    return {
      sizeBytes: digests.sizeBytes,
      virtualSizeBytes,
      checksum: digests.checksum,
      osHashAlgo: context.hashingAlgorithm,
      osHashValue: digests.osHashValue,
      locations: [{ ...place, metadata: new Map(), digest: 'verified', created: true }],
      fileMap,
    };
  } finally {
    session.abort();
  }
}

async function storeMap(
  store: ImageStore,
  key: FileMapRef['key'],
  digests: Digests,
  signal: AbortSignal,
): Promise<FileMapRef> {
  const { bytes, sha256 } = encodeFileMap(digests);
  await store.put(key, once(bytes), { signal, expectedSizeBytes: bytes.length });
  return { storeId: store.id, key, sizeBytes: bytes.length, sha256 };
}

// The state goes first: when the commit did happen although its answer was lost, there is no lease to give up and the
// objects stay.
async function giveUp<Result>(
  context: DataContext,
  commands: UploadCommands<Result>,
  lease: { readonly imageId: string; readonly uploadId: UploadId },
): Promise<void> {
  try {
    await commands.abort(lease);
    await context.garbage.collect();
  } catch (error) {
    if (failedWith(error, 'STATE_CONFLICT')) return;
    context.log.warn({ err: error, ...lease }, 'upload not given up, will be tried again');
  }
}

// Stops with the first byte too many instead of storing it.
async function* limitSize(
  source: AsyncIterable<Uint8Array>,
  declaredBytes: number | undefined,
  capBytes: number,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.length;
    if (exceeds(sizeBytes, capBytes)) throw overCap(capBytes);
    if (declaredBytes !== undefined && sizeBytes > declaredBytes)
      throw new ServiceError('INVALID_ARGUMENT', `announced were ${declaredBytes} bytes, but more came`);
    yield chunk;
  }
  if (declaredBytes !== undefined && sizeBytes !== declaredBytes)
    throw new ServiceError('INVALID_ARGUMENT', `announced were ${declaredBytes} bytes, but only ${sizeBytes} came`);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
