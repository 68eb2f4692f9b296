import { asStoreId, type NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { addTag, removeTag } from '../application/change-tags.js';
import { createImage } from '../application/create-image.js';
import { restoreImage } from '../application/delayed-delete.js';
import { deleteImage } from '../application/delete-image.js';
import { forgetGarbage } from '../application/forget-garbage.js';
import { getImage } from '../application/get-image.js';
import { listImages } from '../application/list-images.js';
import { createMember, deleteMember, getMember, listMembers, updateMember } from '../application/members.js';
import { setActivation } from '../application/set-activation.js';
import { updateImage } from '../application/update-image.js';
import { beginCopy } from '../application/copy-lease.js';
import type { LocationContext } from '../application/find-location.js';
import { addImageLocation, imageWithLocations, removeFromStore } from '../application/image-locations.js';
import type { Garbage } from '../application/ports/catalog.js';
import { askForRepair, beginRepair, checkNode, endRepair } from '../application/image-repair.js';
import { reportLocation } from '../application/report-location.js';
import { abortUpload, beginUpload, commitUpload } from '../application/upload-lease.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import type * as wire from '../gen/oriel/catalog/v1/catalog_service.js';
import { type ImageView, memberMessage } from './image-view.js';
import { imageChangeOf, listRequestOf, newImageOf, numberOf } from './image-request.js';
import { findingOf, expectedDataOf } from './location-request.js';
import { memberStatusOf } from './image-words.js';
import type { ServiceContext } from './service-context.js';
import { placeOf, uploadedDataOf } from './upload-message.js';

/** A page ends early when its images hold more text than this; a thousand of the largest would not fit into memory. */
const PAGE_CHARACTERS = 16 * 1024 * 1024;

/** Objects that one call may have forgotten. */
const FORGET_MAX = 1000;

/** What the service has the node do before a caller is answered. */
export interface CatalogHooks {
  /** The image was deleted: what is still arriving for it is of no use. */
  stopUpload(image: Image): void;
  /** These objects became garbage: they are removed if they are this node's. */
  clear(garbage: readonly Garbage[]): Promise<void>;
}

/** The catalog service: message to use case and back. Reasons are those of the use cases. */
export class CatalogService {
  readonly #context: LocationContext;
  readonly #view: ImageView;
  readonly #hooks: CatalogHooks;

  constructor(context: LocationContext, view: ImageView, hooks: CatalogHooks) {
    this.#context = context;
    this.#view = view;
    this.#hooks = hooks;
  }

  async createImage(request: wire.CreateImageRequest, context: ServiceContext): Promise<wire.CreateImageResponse> {
    const caller = await context.caller();
    const image = await createImage(this.#context, caller, newImageOf(request));
    return { image: this.#view.message(caller, image) };
  }

  async getImage(request: wire.GetImageRequest, context: ServiceContext): Promise<wire.GetImageResponse> {
    const caller = await context.caller();
    return { image: this.#view.message(caller, await getImage(this.#context, caller, request.id)) };
  }

  async listImages(request: wire.ListImagesRequest, context: ServiceContext): Promise<wire.ListImagesResponse> {
    const caller = await context.caller();
    const { images, full } = await listImages(this.#context, caller, listRequestOf(request));
    const page = firstCharacters(images, PAGE_CHARACTERS);
    return {
      images: page.map((image) => this.#view.message(caller, image)),
      nextPageToken: full || page.length < images.length ? (page.at(-1)?.id ?? '') : '',
    };
  }

  async updateImage(request: wire.UpdateImageRequest, context: ServiceContext): Promise<wire.UpdateImageResponse> {
    const caller = await context.caller();
    const { image, garbage } = await updateImage(this.#context, caller, {
      ...changeRequestOf(request),
      changes: request.changes.map(imageChangeOf),
    });
    await this.#hooks.clear(garbage);
    return { image: this.#view.message(caller, image) };
  }

  async deleteImage(request: wire.DeleteImageRequest, context: ServiceContext): Promise<wire.DeleteImageResponse> {
    const caller = await context.caller();
    const { image, garbage } = await deleteImage(this.#context, caller, changeRequestOf(request));
    if (image.status === 'deleted') return {};
    this.#hooks.stopUpload(image);
    await this.#hooks.clear(garbage);
    return {};
  }

  async listImageLocations(
    request: wire.ListImageLocationsRequest,
    context: ServiceContext,
  ): Promise<wire.ListImageLocationsResponse> {
    const caller = await context.caller();
    const image = await imageWithLocations(this.#context, caller, request.imageId);
    return { locations: this.#view.locations(caller, image) };
  }

  async addImageLocation(
    request: wire.AddImageLocationRequest,
    context: ServiceContext,
  ): Promise<wire.AddImageLocationResponse> {
    const caller = await context.caller();
    const expected = expectedDataOf(request.expected);
    const image = await addImageLocation(this.#context, caller, { ...request, expected });
    return { image: this.#view.message(caller, image) };
  }

  async removeImageFromStore(
    request: wire.RemoveImageFromStoreRequest,
    context: ServiceContext,
  ): Promise<wire.RemoveImageFromStoreResponse> {
    const caller = await context.caller();
    const { image, garbage } = await removeFromStore(this.#context, caller, request);
    await this.#hooks.clear(garbage);
    return { image: this.#view.message(caller, image) };
  }

  async deactivateImage(
    request: wire.DeactivateImageRequest,
    context: ServiceContext,
  ): Promise<wire.DeactivateImageResponse> {
    const caller = await context.caller();
    const image = await setActivation(this.#context, caller, { ...request, action: 'deactivate' });
    return { image: this.#view.message(caller, image) };
  }

  async reactivateImage(
    request: wire.ReactivateImageRequest,
    context: ServiceContext,
  ): Promise<wire.ReactivateImageResponse> {
    const caller = await context.caller();
    const image = await setActivation(this.#context, caller, { ...request, action: 'reactivate' });
    return { image: this.#view.message(caller, image) };
  }

  async addImageTag(request: wire.AddImageTagRequest, context: ServiceContext): Promise<wire.AddImageTagResponse> {
    await addTag(this.#context, await context.caller(), { ...request, id: request.imageId });
    return {};
  }

  async removeImageTag(
    request: wire.RemoveImageTagRequest,
    context: ServiceContext,
  ): Promise<wire.RemoveImageTagResponse> {
    await removeTag(this.#context, await context.caller(), { ...request, id: request.imageId });
    return {};
  }

  async createMember(request: wire.CreateMemberRequest, context: ServiceContext): Promise<wire.CreateMemberResponse> {
    return { member: memberMessage(await createMember(this.#context, await context.caller(), request)) };
  }

  async getMember(request: wire.GetMemberRequest, context: ServiceContext): Promise<wire.GetMemberResponse> {
    return { member: memberMessage(await getMember(this.#context, await context.caller(), request)) };
  }

  async listMembers(request: wire.ListMembersRequest, context: ServiceContext): Promise<wire.ListMembersResponse> {
    const { members, full } = await listMembers(this.#context, await context.caller(), {
      imageId: request.imageId,
      after: request.pageToken,
      limit: request.pageSize,
    });
    return { members: members.map(memberMessage), nextPageToken: full ? (members.at(-1)?.memberId ?? '') : '' };
  }

  async updateMember(request: wire.UpdateMemberRequest, context: ServiceContext): Promise<wire.UpdateMemberResponse> {
    const status = memberStatusOf(request.status);
    return { member: memberMessage(await updateMember(this.#context, await context.caller(), { ...request, status })) };
  }

  async deleteMember(request: wire.DeleteMemberRequest, context: ServiceContext): Promise<wire.DeleteMemberResponse> {
    await deleteMember(this.#context, await context.caller(), request);
    return {};
  }

  async beginUpload(request: wire.BeginUploadRequest, context: ServiceContext): Promise<wire.BeginUploadResponse> {
    const caller = await context.caller();
    const begin = request.replaces === '' ? (request.copy ? beginCopy : beginUpload) : beginRepair;
    const { image, uploadId } = await begin(this.#context, caller, {
      ...{ imageId: request.imageId, replaces: request.replaces },
      nodeId: callingNode(caller, request.nodeId),
      storeId: asStoreId(request.store),
      declaredSizeBytes: numberOf(request.declaredSize, 'declared_size') ?? undefined,
    });
    const cap = this.#context.rules.limits.imageSizeCapBytes;
    return {
      uploadId,
      image: this.#view.message(caller, image),
      maxSize: BigInt(cap < 0 ? Number.MAX_SAFE_INTEGER : cap),
    };
  }

  async commitUpload(request: wire.CommitUploadRequest, context: ServiceContext): Promise<wire.CommitUploadResponse> {
    const viewer = await context.caller();
    const { replaces } = request;
    if (replaces !== '') checkNode(viewer);
    // The upload rides on its lease: whose it is was checked when it began.
    const image = await commitUpload(this.#context, {
      ...(replaces === '' ? {} : { replaces }),
      imageId: request.imageId,
      uploadId: request.uploadId,
      nodeId: callingNode(viewer),
      data: uploadedDataOf(request),
    });
    return { image: this.#view.message(viewer, image) };
  }

  async abortUpload(request: wire.AbortUploadRequest, context: ServiceContext): Promise<wire.AbortUploadResponse> {
    const nodeId = callingNode(await context.caller());
    await abortUpload(this.#context, { ...request, nodeId });
    return {};
  }

  async forgetGarbage(
    request: wire.ForgetGarbageRequest,
    context: ServiceContext,
  ): Promise<wire.ForgetGarbageResponse> {
    const nodeId = callingNode(await context.caller(), request.nodeId);
    if (request.objects.length > FORGET_MAX)
      throw new ServiceError(
        'INVALID_ARGUMENT',
        `objects: expected at most ${FORGET_MAX}, got ${request.objects.length}`,
      );
    const rows = request.objects.map((object) => ({ nodeId, ...placeOf(object) }));
    await forgetGarbage(this.#context, rows);
    return {};
  }

  async repairImage(request: wire.RepairImageRequest, context: ServiceContext): Promise<wire.RepairImageResponse> {
    const caller = await context.caller();
    const image = await askForRepair(this.#context, caller, request);
    return { locations: this.#view.locations(caller, image) };
  }

  async restoreImage(request: wire.RestoreImageRequest, context: ServiceContext): Promise<wire.RestoreImageResponse> {
    const caller = await context.caller();
    return { image: this.#view.message(caller, await restoreImage(this.#context, caller, request)) };
  }

  async reportLocation(
    request: wire.ReportLocationRequest,
    context: ServiceContext,
  ): Promise<wire.ReportLocationResponse> {
    const caller = await context.caller();
    checkNode(caller);
    const { imageId, locationId, key } = request;
    const report = { imageId, locationId, key, found: findingOf(request.found) };
    return { marked: await reportLocation(this.#context, callingNode(caller, request.nodeId), report) };
  }

  async endImageRepair(
    request: wire.EndImageRepairRequest,
    context: ServiceContext,
  ): Promise<wire.EndImageRepairResponse> {
    const caller = await context.caller();
    checkNode(caller);
    const imageVersion = numberOf(request.imageVersion, 'image_version') ?? 0;
    await endRepair(this.#context, callingNode(caller, request.nodeId), { imageId: request.imageId, imageVersion });
    return {};
  }
}

/** The public methods, for those that stand before the service or in for it. */
export type CatalogMethods = { readonly [Method in keyof CatalogService]: CatalogService[Method] };

// At least one, so that every page gets on.
function firstCharacters(images: readonly Image[], limit: number): readonly Image[] {
  let characters = 0;
  const end = images.findIndex(({ properties }, index) => {
    for (const [name, value] of properties) characters += name.length + value.length;
    return characters > limit && index > 0;
  });
  return end === -1 ? images : images.slice(0, end);
}

/** The node that calls, which must be the one that the request names. FORBIDDEN: the caller is no node of this service. */
function callingNode(caller: Caller, named?: string): NodeId {
  const { vouchedBy } = caller;
  if (vouchedBy === undefined) throw new ServiceError('FORBIDDEN', 'Only nodes of this service may call this method.');
  if (named !== undefined && named !== vouchedBy)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `node_id: expected the calling node ${vouchedBy}, got ${named.slice(0, 64)}`,
    );
  return vouchedBy;
}

function changeRequestOf(request: {
  readonly id: string;
  readonly requestId: string;
  readonly expectVersion?: bigint | undefined;
}): { readonly id: string; readonly requestId: string; readonly expectVersion: number | undefined } {
  const { id, requestId } = request;
  return { id, requestId, expectVersion: numberOf(request.expectVersion, 'expect_version') ?? undefined };
}
