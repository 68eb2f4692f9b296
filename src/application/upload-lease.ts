/**
 * The three commands of an upload, run where the catalog's authority is. The node that has the bytes sends them:
 * begin (queued to saving, with a lease), then commit (active) or abort (queued again). A copy of an active image into another
 * store has the same lease (`copy-lease.ts`), so has the repair of a location (`image-repair.ts`), and the image stays as it is until the commit adds a location.
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
import { withCopy } from '../domain/image-copy.js';
import { exceeds } from '../domain/limits.js';
import { DATA_SUFFIX, MAP_SUFFIX } from '../domain/location.js';
import { authorize } from '../domain/policy.js';
import type { AuthorityContext, CatalogContext } from './catalog-context.js';
import { changeImage } from './change-image.js';
import { imageNotFound } from './find-image.js';
import type { Effect, UploadLease } from './ports/catalog.js';
import { repairWork, replaceLocation } from './repair-effects.js';
import { type Decided, writeDecided } from './write-decided.js';

export interface BeginUpload {
  readonly imageId: string;
  readonly nodeId: string;
  readonly storeId: StoreId;
  /** undefined: the client announced none. */
  readonly declaredSizeBytes: number | undefined;
}

/** The image as it is now, and the lease. */
export interface Begun {
  readonly image: Image;
  readonly uploadId: UploadId;
}

/**
 * Leases the upload of a queued image to a node. FORBIDDEN: not the caller's. STATE_CONFLICT: not queued.
 * INVALID_ARGUMENT: the formats are not set. LIMIT_EXCEEDED: announced larger than the cap.
 */
export async function beginUpload(context: CatalogContext, caller: Caller, request: BeginUpload): Promise<Begun> {
  return beginLease(context, caller, { ...request, change: 'upload' }, (before, uploadId) => {
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
    const after: Image = { ...nextVersion(context, before), status: 'saving', uploadId };
    return { image: after, effects: [{ kind: 'update-image', before, after }] };
  });
}

/** Changes the image as it is decided, and with that leases an upload of it to the node that asks. Reasons: those of `decide`. */
export async function beginLease(
  context: CatalogContext,
  caller: Caller,
  request: BeginUpload & { readonly change: 'upload' | 'copy' },
  decide: (before: Image, uploadId: UploadId) => { readonly image: Image; readonly effects: readonly Effect[] },
): Promise<Begun> {
  const uploadId = asUploadId(context.ids.uuid());
  const { imageId: id, nodeId, storeId, change } = request;
  const wanted = { id, change, requestId: '', expectVersion: undefined };
  const image = await changeImage(context, caller, wanted, (before) => {
    const decided = decide(before, uploadId);
    const named = { uploadId, imageId: before.id, nodeId: asNodeId(nodeId), storeId };
    const upload = { ...named, ...objectKeys(before.id, uploadId), startedAtMs: context.clock.nowMs() };
    return { image: decided.image, effects: [...decided.effects, { kind: 'insert-upload', upload }] };
  });
  return { image, uploadId };
}

/** The keys under which an upload stores its objects: unique to the upload, so that no two ever share one. */
export function objectKeys(
  imageId: string,
  uploadId: UploadId,
): { readonly key: ObjectKey; readonly mapKey: ObjectKey } {
  const key = asObjectKey(`${imageId}/${uploadId}${DATA_SUFFIX}`);
  const mapKey = asObjectKey(`${imageId}/${uploadId}${MAP_SUFFIX}`);
  assert(key !== undefined && mapKey !== undefined, 'ids make object keys');
  return { key, mapKey };
}

/** The error for data larger than the operator allows. */
export function overCap(capBytes: number): ServiceError {
  return new ServiceError('LIMIT_EXCEEDED', `Image exceeds the storage quota: at most ${capBytes} bytes are allowed.`);
}

/** An upload, as the node that it was leased to names it. */
interface NamedLease {
  readonly uploadId: string;
  readonly imageId: string;
  readonly nodeId: NodeId;
}

/**
 * Makes the image active, or adds the copy to it; a commit that is sent again, because its answer was lost, finds it so.
 * IMAGE_GONE: it was deleted meanwhile. STATE_CONFLICT: the lease is no more. DATA_CORRUPT: the copy is of other data.
 */
export async function commitUpload(
  context: AuthorityContext,
  request: NamedLease & { readonly data: ImageData; readonly replaces?: string },
): Promise<Image> {
  const isOfUpload = (image: Image): boolean =>
    dataOf(image)?.locations.some(({ id }) => id === request.uploadId) === true;
  const committed = (image: Image | undefined): Image | undefined =>
    image !== undefined && isOfUpload(image) ? image : undefined;
  const commit = ({ saving, image }: LeasedImage, lease: UploadLease): Decided<Image> => {
    for (const object of [...request.data.locations, ...(request.data.fileMap === null ? [] : [request.data.fileMap])])
      if (object.storeId !== lease.storeId || (object.key !== lease.key && object.key !== lease.mapKey))
        throw new ServiceError('INVALID_ARGUMENT', `object ${object.key} is not one of upload ${lease.uploadId}`);
    const locations = request.data.locations.map((location) => ({ ...location, nodeId: lease.nodeId }));
    const data = { ...request.data, locations };
    const before = saving ?? image;
    const now = before === undefined ? undefined : dataOf(before);
    if (before === undefined || before.status === 'pending_delete' || (saving === undefined && now === undefined))
      throw new ServiceError('IMAGE_GONE', `Image ${request.imageId} was deleted while its data was being uploaded.`);
    if (request.replaces !== undefined)
      return replaceLocation(context, before, { ...lease, data, replaces: request.replaces });
    const after: Image =
      now === undefined
        ? { ...nextVersion(context, before), status: 'active', data }
        : { ...withCopy(before, data, context.rules.limits), ...nextVersion(context, before) };
    // What was damaged may have a good copy now.
    const work = repairWork(context.nodeId, after);
    return { result: after, effects: [{ kind: 'update-image', before, after }, ...work] };
  };
  return endUpload(context, request, commit, committed);
}

/**
 * Gives the upload up: the image is queued again (or stays deleted) and what was stored becomes garbage. STATE_CONFLICT:
 * the lease is no more, hence the upload was committed or given up before.
 */
export async function abortUpload(context: CatalogContext, request: NamedLease): Promise<void> {
  await endUpload(context, request, ({ saving: before }, lease) => {
    const garbage = [lease.key, lease.mapKey].map(
      (key): Effect => ({ kind: 'add-garbage', garbage: { nodeId: lease.nodeId, storeId: lease.storeId, key } }),
    );
    if (before === undefined) return { result: undefined, effects: garbage };
    const after: Image = { ...nextVersion(context, before), status: 'queued' };
    return { result: undefined, effects: [{ kind: 'update-image', before, after }, ...garbage] };
  });
}

/** `saving`: the image of this very upload. `image`: whatever it is now; one that has data is being copied. */
interface LeasedImage {
  readonly saving: Image | undefined;
  readonly image: Image | undefined;
}

async function endUpload<T>(
  context: CatalogContext,
  request: NamedLease,
  decide: (leased: LeasedImage, lease: UploadLease) => Decided<T>,
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
    const { result, effects } = decide({ saving: ours ? image : undefined, image }, lease);
    return { result, effects: [...effects, { kind: 'delete-upload', uploadId: lease.uploadId }] };
  });
}

function nextVersion(context: CatalogContext, before: Image): ImageCommon {
  return { ...commonOf(before), version: before.version + 1, updatedAtMs: context.clock.nowMs() };
}
