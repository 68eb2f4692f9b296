/**
 * The catalog service of an edge: reads are answered from the node's own copy, everything that changes something goes to
 * the authority, which decides and writes; the same generated interface again. The caller is authenticated here, and the
 * authority believes this node's statement about it.
 */
import { randomUUID } from 'node:crypto';
import type { CallOptions } from 'nice-grpc-common';
import { failedWith, ServiceError } from '../base/service-error.js';
import { parsePosition } from '../domain/position.js';
import type { Catalog } from '../application/ports/catalog.js';
import type { Caller } from '../domain/caller.js';
import type { CatalogServiceClient } from '../gen/oriel/catalog/v1/catalog_service.js';
import type * as wire from '../gen/oriel/catalog/v1/catalog_service.js';
import { ImageVisibility } from '../gen/oriel/catalog/v1/image.js';
import { VisibilityScope } from '../gen/oriel/catalog/v1/image_filter.js';
import { freshCatalog } from './fresh-catalog.js';
import type { CatalogFreshness } from './catalog-freshness.js';
import type { CatalogMethods } from './catalog-service.js';
import type { CopyAge } from './copy-age.js';
import type { OwnWrites } from './own-writes.js';
import { POSITION_KEY, type ServiceContext, STALENESS_KEY } from './service-context.js';

/**
 * So long may the authority take for a call that has it look at objects elsewhere, which it does for at most 20 s
 * (application/find-location.ts).
 */
const LOOK_DEADLINE_MS = 30_000;

/** The way to the authority. */
export interface AuthorityLink {
  readonly catalog: CatalogServiceClient;
  /** What a call carries to act for a caller: this node's statement, the request's id and trace. */
  vouch(caller: Caller, context: ServiceContext): CallOptions;
  /** Runs a call; UNAVAILABLE at once, saying why, while the authority does not answer. */
  run<Response>(call: () => Promise<Response>, deadlineMs?: number): Promise<Response>;
}

export interface EdgeParts {
  /** The service over this node's copy, for reads. */
  readonly local: CatalogMethods;
  readonly copy: Pick<Catalog, 'waitFor'> & { wake(): void };
  readonly authority: AuthorityLink;
  readonly freshness: CatalogFreshness;
  readonly ownWrites: OwnWrites;
  readonly age: CopyAge;
  /** The latest epoch that this node has seen, and what to do about an authority of an earlier one. */
  readonly epochs: { seen(): number; tellReplaced(): void };
  /** Called when an image was deleted through this node. */
  onDeleted(imageId: string): void;
}

type Send<Response> = (catalog: CatalogServiceClient, options: CallOptions) => Promise<Response>;

export class EdgeCatalogService implements CatalogMethods {
  readonly #parts: EdgeParts;
  readonly #reads: CatalogMethods;

  constructor(parts: EdgeParts) {
    this.#parts = parts;
    this.#reads = freshCatalog(parts.local, parts.freshness);
  }

  async getImage(request: wire.GetImageRequest, context: ServiceContext): Promise<wire.GetImageResponse> {
    const response = await this.onceKnown(request.id, context, () => this.#reads.getImage(request, context));
    this.#parts.age.allow(response.image?.visibility === ImageVisibility.PUBLIC);
    return response;
  }

  async listImages(request: wire.ListImagesRequest, context: ServiceContext): Promise<wire.ListImagesResponse> {
    this.#parts.age.allow(request.filter?.visibility === VisibilityScope.PUBLIC);
    return await this.#reads.listImages(request, context);
  }

  async getMember(request: wire.GetMemberRequest, context: ServiceContext): Promise<wire.GetMemberResponse> {
    this.#parts.age.allow(false);
    return await this.onceKnown(request.imageId, context, () => this.#reads.getMember(request, context));
  }

  async listMembers(request: wire.ListMembersRequest, context: ServiceContext): Promise<wire.ListMembersResponse> {
    this.#parts.age.allow(false);
    return await this.onceKnown(request.imageId, context, () => this.#reads.listMembers(request, context));
  }

  createImage(request: wire.CreateImageRequest, context: ServiceContext): Promise<wire.CreateImageResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.createImage(once, options));
  }

  updateImage(request: wire.UpdateImageRequest, context: ServiceContext): Promise<wire.UpdateImageResponse> {
    const once = withRequestId(request);
    const looks = request.changes.some(({ change }) => change?.$case === 'location');
    return this.#send(
      context,
      (catalog, options) => catalog.updateImage(once, options),
      looks ? LOOK_DEADLINE_MS : undefined,
    );
  }

  async deleteImage(request: wire.DeleteImageRequest, context: ServiceContext): Promise<wire.DeleteImageResponse> {
    const once = withRequestId(request);
    const response = await this.#send(context, (catalog, options) => catalog.deleteImage(once, options));
    this.#parts.onDeleted(request.id);
    return response;
  }

  deactivateImage(
    request: wire.DeactivateImageRequest,
    context: ServiceContext,
  ): Promise<wire.DeactivateImageResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.deactivateImage(once, options));
  }

  reactivateImage(
    request: wire.ReactivateImageRequest,
    context: ServiceContext,
  ): Promise<wire.ReactivateImageResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.reactivateImage(once, options));
  }

  addImageTag(request: wire.AddImageTagRequest, context: ServiceContext): Promise<wire.AddImageTagResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.addImageTag(once, options));
  }

  removeImageTag(request: wire.RemoveImageTagRequest, context: ServiceContext): Promise<wire.RemoveImageTagResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.removeImageTag(once, options));
  }

  createMember(request: wire.CreateMemberRequest, context: ServiceContext): Promise<wire.CreateMemberResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.createMember(once, options));
  }

  updateMember(request: wire.UpdateMemberRequest, context: ServiceContext): Promise<wire.UpdateMemberResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.updateMember(once, options));
  }

  deleteMember(request: wire.DeleteMemberRequest, context: ServiceContext): Promise<wire.DeleteMemberResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.deleteMember(once, options));
  }

  async listImageLocations(
    request: wire.ListImageLocationsRequest,
    context: ServiceContext,
  ): Promise<wire.ListImageLocationsResponse> {
    this.#parts.age.allow(false);
    return await this.onceKnown(request.imageId, context, () => this.#reads.listImageLocations(request, context));
  }

  addImageLocation(
    request: wire.AddImageLocationRequest,
    context: ServiceContext,
  ): Promise<wire.AddImageLocationResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.addImageLocation(once, options), LOOK_DEADLINE_MS);
  }

  removeImageFromStore(
    request: wire.RemoveImageFromStoreRequest,
    context: ServiceContext,
  ): Promise<wire.RemoveImageFromStoreResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.removeImageFromStore(once, options));
  }

  // A lease whose answer was lost is this node's without an upload, and given up by its next recovery.
  beginUpload(request: wire.BeginUploadRequest, context: ServiceContext): Promise<wire.BeginUploadResponse> {
    return this.#send(context, (catalog, options) => catalog.beginUpload(request, options));
  }

  commitUpload(request: wire.CommitUploadRequest, context: ServiceContext): Promise<wire.CommitUploadResponse> {
    return this.#send(context, (catalog, options) => catalog.commitUpload(request, options));
  }

  abortUpload(request: wire.AbortUploadRequest, context: ServiceContext): Promise<wire.AbortUploadResponse> {
    return this.#send(context, (catalog, options) => catalog.abortUpload(request, options));
  }

  forgetGarbage(request: wire.ForgetGarbageRequest, context: ServiceContext): Promise<wire.ForgetGarbageResponse> {
    return this.#send(context, (catalog, options) => catalog.forgetGarbage(request, options));
  }

  repairImage(request: wire.RepairImageRequest, context: ServiceContext): Promise<wire.RepairImageResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.repairImage(once, options));
  }

  restoreImage(request: wire.RestoreImageRequest, context: ServiceContext): Promise<wire.RestoreImageResponse> {
    const once = withRequestId(request);
    return this.#send(context, (catalog, options) => catalog.restoreImage(once, options));
  }

  reportLocation(request: wire.ReportLocationRequest, context: ServiceContext): Promise<wire.ReportLocationResponse> {
    return this.#send(context, (catalog, options) => catalog.reportLocation(request, options));
  }

  endImageRepair(request: wire.EndImageRepairRequest, context: ServiceContext): Promise<wire.EndImageRepairResponse> {
    return this.#send(context, (catalog, options) => catalog.endImageRepair(request, options));
  }

  /**
   * Reads something of an image. When this node's copy has no such image, or not what `found` asks for, the authority is asked
   * once: another node may have made it a moment ago. While the authority does not answer, the copy's word stands.
   */
  async onceKnown<Response>(
    imageId: string,
    context: ServiceContext,
    read: () => Promise<Response>,
    found: (response: Response) => boolean = () => true,
  ): Promise<Response> {
    let first: { readonly response: Response } | { readonly error: unknown };
    try {
      const response = await read();
      if (found(response)) return response;
      first = { response };
    } catch (error) {
      if (!failedWith(error, 'NOT_FOUND')) throw error;
      first = { error };
    }
    const position = await this.#positionWith(imageId, context);
    if (position !== undefined) {
      // Also when syncs failed until now: the authority has just answered, so they may succeed in a moment.
      await this.#parts.copy.waitFor(parsePosition(position));
      return read();
    }
    if ('error' in first) throw first.error;
    return first.response;
  }

  /** A position at which the caller sees the image; undefined: there is none, or nobody to ask. */
  async #positionWith(imageId: string, context: ServiceContext): Promise<string | undefined> {
    const { authority } = this.#parts;
    let position: string | undefined;
    const options = authority.vouch(await context.caller(), context);
    const onHeader: CallOptions['onHeader'] = (header) => (position = header.get(POSITION_KEY));
    try {
      await authority.run(() => authority.catalog.getImage({ id: imageId }, { ...options, onHeader }));
      return position;
    } catch (error) {
      if (failedWith(error, 'NOT_FOUND') || failedWith(error, 'UNAVAILABLE')) return undefined;
      if (failedWith(error, 'DEADLINE_EXCEEDED')) return undefined;
      throw error;
    }
  }

  async #send<Response>(context: ServiceContext, send: Send<Response>, deadlineMs?: number): Promise<Response> {
    const { authority, copy, ownWrites, epochs } = this.#parts;
    const answer = { replaced: false };
    const caller = await context.caller();
    const options = authority.vouch(caller, context);
    const onHeader: CallOptions['onHeader'] = (header) => {
      const position = header.get(POSITION_KEY);
      if (position === undefined) return;
      const point = parsePosition(position);
      answer.replaced = point.epoch < epochs.seen();
      if (answer.replaced) return;
      ownWrites.note(caller, point);
      context.answeredAt({ position, stalenessMs: Number(header.get(STALENESS_KEY) ?? 0) });
    };
    try {
      const response = await authority.run(() => send(authority.catalog, { ...options, onHeader }), deadlineMs);
      // An authority that was replaced may be back at its address: what it says is done will be lost.
      if (answer.replaced) throw replacedError();
      return response;
    } finally {
      if (answer.replaced) epochs.tellReplaced();
      copy.wake();
    }
  }
}

function replacedError(): ServiceError {
  return new ServiceError(
    'UNAVAILABLE',
    'The authority that answered has been replaced by another, which this node has seen: nothing can be changed until this ' +
      'node reaches that one.',
    { details: { retry_after: '60' } },
  );
}

/** The way to the authority may break after a change was made: with an id it can be sent again, and happens once. */
function withRequestId<Request extends { readonly requestId: string }>(request: Request): Request {
  return request.requestId === '' ? { ...request, requestId: randomUUID() } : request;
}
