/**
 * The three commands of an upload, run where the catalog's authority is. The node that has the bytes sends them:
 * begin (queued to saving, with a lease), then commit (active) or abort (queued again).
 */
import {
  asImageId,
  asNodeId,
  asObjectKey,
  asUploadId,
  type NodeId,
  type ObjectKey,
  type StoreId,
  type UploadId,
} from '../base/brand.js';
import { assert } from '../base/assert.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { commonOf, dataOf, type Image, type ImageCommon, type ImageData } from '../domain/image.js';
import { exceeds } from '../domain/limits.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { changeImage } from './change-image.js';
import { imageNotFound } from './find-image.js';
import type { Effect, UploadLease } from './ports/catalog.js';
import { type Decided, writeDecided } from './write-decided.js';

export interface BeginUpload {
  readonly imageId: string;
  readonly nodeId: string;
  readonly storeId: StoreId;
  /** undefined: the client announced none. */
  readonly declaredSizeBytes: number | undefined;
}

/**
 * Leases the upload of a queued image to a node. FORBIDDEN: not the caller's. STATE_CONFLICT: not queued.
 * INVALID_ARGUMENT: the formats are not set. LIMIT_EXCEEDED: announced larger than the cap.
 */
export async function beginUpload(
  context: CatalogContext,
  caller: Caller,
  request: BeginUpload,
): Promise<{ readonly image: Image; readonly uploadId: UploadId }> {
  const uploadId = asUploadId(context.ids.uuid());
  const image = await changeImage(
    context,
    caller,
    { id: request.imageId, change: 'upload', requestId: '', expectVersion: undefined },
    (before) => {
      authorize('upload_image', caller, before);
      if (before.status !== 'queued')
        throw new ServiceError(
          'STATE_CONFLICT',
          `Image ${before.id} is ${before.status}; data can be uploaded only to a queued image.`,
        );
      for (const [name, value] of [
        ['disk_format', before.diskFormat],
        ['container_format', before.containerFormat],
      ])
        if (value === null)
          throw new ServiceError('INVALID_ARGUMENT', `Property ${name} must be set prior to saving data.`);
      const cap = context.rules.limits.imageSizeCapBytes;
      if (request.declaredSizeBytes !== undefined && exceeds(request.declaredSizeBytes, cap)) throw overCap(cap);
      const nowMs = context.clock.nowMs();
      const after: Image = { ...nextVersion(context, before), status: 'saving', uploadId };
      const upload: UploadLease = {
        uploadId,
        imageId: before.id,
        nodeId: asNodeId(request.nodeId),
        storeId: request.storeId,
        ...objectKeys(before.id, uploadId),
        startedAtMs: nowMs,
      };
      return {
        image: after,
        effects: [
          { kind: 'update-image', before, after },
          { kind: 'insert-upload', upload },
        ],
      };
    },
  );
  return { image, uploadId };
}

/** The keys under which an upload stores its objects: unique to the upload, so that no two ever share one. */
export function objectKeys(
  imageId: string,
  uploadId: UploadId,
): { readonly key: ObjectKey; readonly mapKey: ObjectKey } {
  const key = asObjectKey(`${imageId}/${uploadId}.data`);
  const mapKey = asObjectKey(`${imageId}/${uploadId}.map`);
  assert(key !== undefined && mapKey !== undefined, 'ids make object keys');
  return { key, mapKey };
}

/** The error for data larger than the operator allows. */
export function overCap(capBytes: number): ServiceError {
  return new ServiceError('LIMIT_EXCEEDED', `Image exceeds the storage quota: at most ${capBytes} bytes are allowed.`);
}

/** An upload, as the node that it was leased to names it. */
interface LeaseOf {
  readonly uploadId: string;
  readonly imageId: string;
  readonly nodeId: NodeId;
}

/**
 * Makes the image active; a commit that is sent again, because its answer was lost, finds it so. IMAGE_GONE: it was deleted
 * meanwhile. STATE_CONFLICT: the lease is no more.
 */
export async function commitUpload(
  context: CatalogContext,
  request: LeaseOf & { readonly data: ImageData },
): Promise<Image> {
  const isOfUpload = (image: Image): boolean =>
    dataOf(image)?.locations.some(({ id }) => id === request.uploadId) === true;
  const committed = (image: Image | undefined): Image | undefined =>
    image !== undefined && isOfUpload(image) ? image : undefined;
  const commit = (before: Image | undefined, lease: UploadLease): Decided<Image> => {
    if (before === undefined)
      throw new ServiceError('IMAGE_GONE', `Image ${request.imageId} was deleted while its data was being uploaded.`);
    for (const object of [...request.data.locations, ...(request.data.fileMap === null ? [] : [request.data.fileMap])])
      if (object.storeId !== lease.storeId || (object.key !== lease.key && object.key !== lease.mapKey))
        throw new ServiceError('INVALID_ARGUMENT', `object ${object.key} is not one of upload ${lease.uploadId}`);
    const locations = request.data.locations.map((location) => ({ ...location, nodeId: lease.nodeId }));
    const after: Image = { ...nextVersion(context, before), status: 'active', data: { ...request.data, locations } };
    return { result: after, effects: [{ kind: 'update-image', before, after }] };
  };
  return endUpload(context, request, commit, committed);
}

/**
 * Gives the upload up: the image is queued again (or stays deleted) and what was stored becomes garbage. STATE_CONFLICT:
 * the lease is no more, hence the upload was committed or given up before.
 */
export async function abortUpload(context: CatalogContext, request: LeaseOf): Promise<void> {
  await endUpload(context, request, (before, lease) => {
    const garbage = [lease.key, lease.mapKey].map(
      (key): Effect => ({ kind: 'add-garbage', garbage: { nodeId: lease.nodeId, storeId: lease.storeId, key } }),
    );
    if (before === undefined) return { result: undefined, effects: garbage };
    const after: Image = { ...nextVersion(context, before), status: 'queued' };
    return { result: undefined, effects: [{ kind: 'update-image', before, after }, ...garbage] };
  });
}

// `before` is the saving image of this very upload, or undefined when it was deleted meanwhile.
async function endUpload<T>(
  context: CatalogContext,
  request: LeaseOf,
  decide: (before: Image | undefined, lease: UploadLease) => Decided<T>,
  ended?: (image: Image | undefined) => T | undefined,
): Promise<T> {
  const id = asImageId(request.imageId);
  if (id === undefined) throw imageNotFound(request.imageId);
  const operation = { opId: context.ids.uuid(), subject: id, repeatable: false };
  return writeDecided(context, { id, operation }, (reader) => {
    const lease = reader.upload(asUploadId(request.uploadId));
    const done = lease === undefined ? ended?.(reader.image(id)) : undefined;
    if (done !== undefined) return { result: done, effects: [] };
    if (lease?.imageId !== id || lease.nodeId !== request.nodeId)
      throw new ServiceError('STATE_CONFLICT', `upload ${request.uploadId} of image ${id} has ended already`);
    const image = reader.image(id);
    const ours = image?.status === 'saving' && image.uploadId === lease.uploadId;
    const { result, effects } = decide(ours ? image : undefined, lease);
    return { result, effects: [...effects, { kind: 'delete-upload', uploadId: lease.uploadId }] };
  });
}

function nextVersion(context: CatalogContext, before: Image): ImageCommon {
  return { ...commonOf(before), version: before.version + 1, updatedAtMs: context.clock.nowMs() };
}
