/**
 * The generated client interfaces bound to the services of this process: the same messages, without a socket or an
 * encoding in between. What the gateway does over gRPC to another node, it does over these to its own.
 */
import { type CallOptions, Metadata } from 'nice-grpc-common';
import type { Caller } from '../domain/caller.js';
import * as catalog from '../gen/oriel/catalog/v1/catalog_service.js';
import * as cache from '../gen/oriel/node/v1/node_cache.js';
import * as node from '../gen/oriel/node/v1/node_service.js';
import type { CatalogMethods } from './catalog-service.js';
import type { NodeService } from './node-service.js';
import {
  type CallerResolver,
  type Freshness,
  MIN_POSITION_KEY,
  type RequestTrace,
  type ServiceContext,
  traceOf,
  writeFreshness,
} from './service-context.js';

/** The part of a generated message type that fills in what a request leaves out. */
interface MessageType<Partial, Message> {
  fromPartial(partial: Partial): Message;
}

const NEVER_ABORTED = new AbortController().signal;

/** Makes the context of a call that came over HTTP. */
export function httpContext(callers: CallerResolver, options: CallOptions | undefined): ServiceContext {
  return new HttpContext(callers, options);
}

// A class, because a getter in an object literal costs a hidden class for each call (gateway/exchange.ts says more).
class HttpContext implements ServiceContext {
  readonly #callers: CallerResolver;
  readonly #options: CallOptions | undefined;
  #caller: Promise<Caller> | undefined;

  constructor(callers: CallerResolver, options: CallOptions | undefined) {
    this.#callers = callers;
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#options?.signal ?? NEVER_ABORTED;
  }

  get trace(): RequestTrace {
    return traceOf(this.#options?.metadata);
  }

  get minPosition(): string | undefined {
    return this.#options?.metadata?.get(MIN_POSITION_KEY);
  }

  answeredAt(freshness: Freshness): void {
    if (this.#options?.onHeader === undefined) return;
    const header = new Metadata();
    writeFreshness(header, freshness);
    this.#options.onHeader(header);
  }

  caller(): Promise<Caller> {
    this.#caller ??= this.#callers.resolve(this.#options?.metadata ?? Metadata(), { listener: 'http' });
    return this.#caller;
  }
}

/** Binds the catalog's client interface to a service of this process. */
export function catalogClient(service: CatalogMethods, callers: CallerResolver): catalog.CatalogServiceClient {
  const bind = binder(callers);
  return {
    createImage: bind(catalog.CreateImageRequest, (request, context) => service.createImage(request, context)),
    getImage: bind(catalog.GetImageRequest, (request, context) => service.getImage(request, context)),
    listImages: bind(catalog.ListImagesRequest, (request, context) => service.listImages(request, context)),
    updateImage: bind(catalog.UpdateImageRequest, (request, context) => service.updateImage(request, context)),
    deleteImage: bind(catalog.DeleteImageRequest, (request, context) => service.deleteImage(request, context)),
    deactivateImage: bind(catalog.DeactivateImageRequest, (request, context) =>
      service.deactivateImage(request, context),
    ),
    reactivateImage: bind(catalog.ReactivateImageRequest, (request, context) =>
      service.reactivateImage(request, context),
    ),
    addImageTag: bind(catalog.AddImageTagRequest, (request, context) => service.addImageTag(request, context)),
    removeImageTag: bind(catalog.RemoveImageTagRequest, (request, context) => service.removeImageTag(request, context)),
    createMember: bind(catalog.CreateMemberRequest, (request, context) => service.createMember(request, context)),
    getMember: bind(catalog.GetMemberRequest, (request, context) => service.getMember(request, context)),
    listMembers: bind(catalog.ListMembersRequest, (request, context) => service.listMembers(request, context)),
    updateMember: bind(catalog.UpdateMemberRequest, (request, context) => service.updateMember(request, context)),
    deleteMember: bind(catalog.DeleteMemberRequest, (request, context) => service.deleteMember(request, context)),
    listImageLocations: bind(catalog.ListImageLocationsRequest, (request, context) =>
      service.listImageLocations(request, context),
    ),
    addImageLocation: bind(catalog.AddImageLocationRequest, (request, context) =>
      service.addImageLocation(request, context),
    ),
    removeImageFromStore: bind(catalog.RemoveImageFromStoreRequest, (request, context) =>
      service.removeImageFromStore(request, context),
    ),
    beginUpload: bind(catalog.BeginUploadRequest, (request, context) => service.beginUpload(request, context)),
    commitUpload: bind(catalog.CommitUploadRequest, (request, context) => service.commitUpload(request, context)),
    forgetGarbage: bind(catalog.ForgetGarbageRequest, (request, context) => service.forgetGarbage(request, context)),
    repairImage: bind(catalog.RepairImageRequest, (request, context) => service.repairImage(request, context)),
    restoreImage: bind(catalog.RestoreImageRequest, (request, context) => service.restoreImage(request, context)),
    reportLocation: bind(catalog.ReportLocationRequest, (request, context) => service.reportLocation(request, context)),
    endImageRepair: bind(catalog.EndImageRepairRequest, (request, context) => service.endImageRepair(request, context)),
    abortUpload: bind(catalog.AbortUploadRequest, (request, context) => service.abortUpload(request, context)),
  };
}

/** Binds the node's client interface to a service of this process. */
export function nodeClient(service: NodeService, callers: CallerResolver): node.NodeServiceClient {
  const bind = binder(callers);
  return {
    getNodeStatus: bind(node.GetNodeStatusRequest, (request, context) => service.getNodeStatus(request, context)),
    getServiceInfo: bind(node.GetServiceInfoRequest, () => service.getServiceInfo()),
    listStores: bind(node.ListStoresRequest, (request, context) => service.listStores(request, context)),
    getCaller: bind(node.GetCallerRequest, (request, context) => service.getCaller(request, context)),
    listNodes: bind(node.ListNodesRequest, (request, context) => service.listNodes(request, context)),
    join: bind(node.JoinRequest, (request) => service.join(request)),
    announceNode: bind(node.AnnounceNodeRequest, (request, context) => service.announceNode(request, context)),
    holdPosition: bind(node.HoldPositionRequest, (request, context) => service.holdPosition(request, context)),
    fenceAuthority: bind(node.FenceAuthorityRequest, (request) => service.fenceAuthority(request)),
    listCachedImages: bind(cache.ListCachedImagesRequest, (request, context) =>
      service.listCachedImages(request, context),
    ),
    cacheImage: bind(cache.CacheImageRequest, (request, context) => service.cacheImage(request, context)),
    removeCachedImage: bind(cache.RemoveCachedImageRequest, (request, context) =>
      service.removeCachedImage(request, context),
    ),
    clearCache: bind(cache.ClearCacheRequest, (request, context) => service.clearCache(request, context)),
    cleanCache: bind(cache.CleanCacheRequest, (request, context) => service.cleanCache(request, context)),
    pruneCache: bind(cache.PruneCacheRequest, (request, context) => service.pruneCache(request, context)),
    pinCachedImage: bind(cache.PinCachedImageRequest, (request, context) => service.pinCachedImage(request, context)),
    watchEvents: (request, options) =>
      service.watchEvents(node.WatchEventsRequest.fromPartial(request), httpContext(callers, options)),
  };
}

function binder(callers: CallerResolver) {
  return function bind<Partial, Message, Response>(
    type: MessageType<Partial, Message>,
    handle: (request: Message, context: ServiceContext) => Promise<Response>,
  ): (request: Partial, options?: CallOptions) => Promise<Response> {
    return async (request, options) => handle(type.fromPartial(request), httpContext(callers, options));
  };
}
