import type { EventFeed } from '../application/event-feed.js';
import { ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import { authorize, isService } from '../domain/policy.js';
import {
  CallerKind,
  type GetCallerRequest,
  type GetCallerResponse,
  type GetNodeStatusRequest,
  type GetNodeStatusResponse,
  type AnnounceNodeRequest,
  type AnnounceNodeResponse,
  type FenceAuthorityRequest,
  type FenceAuthorityResponse,
  type GetServiceInfoResponse,
  type HoldPositionRequest,
  type HoldPositionResponse,
  type JoinRequest,
  type JoinResponse,
  type ListNodesRequest,
  type ListNodesResponse,
  type ListStoresRequest,
  type ListStoresResponse,
  type PartStatus,
  type ScrubStatus,
  type StoreDetail,
  type WatchEventsRequest,
  type WatchEventsResponse,
} from '../gen/oriel/node/v1/node_service.js';
import type * as cache from '../gen/oriel/node/v1/node_cache.js';
import type { ClusterMethods } from './authority-methods.js';
import type { CacheMethods } from './cache-methods.js';
import { eventMessage } from './event-message.js';
import type { ServiceContext } from './service-context.js';

export interface NodeFacts {
  readonly nodeId: string;
  readonly site: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly info: GetServiceInfoResponse;
  readonly stores: readonly StoreDetail[];
  /** The state of each part, asked anew each time. */
  parts(): Promise<readonly PartStatus[]>;
  /** The calls about the cluster. */
  readonly cluster: ClusterMethods;
  readonly feed: EventFeed;
  readonly cache: CacheMethods;
  /** How far the node has come with checking what it keeps. */
  readonly scrub: () => ScrubStatus;
}

const KINDS = {
  user: CallerKind.USER,
  host: CallerKind.HOST,
  node: CallerKind.UNSPECIFIED,
} as const satisfies Record<Caller['kind'], CallerKind>;

/** The node service: what this node is, and who the caller is. */
export class NodeService {
  readonly #facts: NodeFacts;

  constructor(facts: NodeFacts) {
    this.#facts = facts;
  }

  async getNodeStatus(_request: GetNodeStatusRequest, context: ServiceContext): Promise<GetNodeStatusResponse> {
    const caller = await context.caller();
    authorize('get_images', caller, { owner: caller.projectId });
    const parts = await this.#facts.parts();
    return {
      nodeId: this.#facts.nodeId,
      site: this.#facts.site,
      version: this.#facts.version,
      startedAt: new Date(this.#facts.startedAtMs),
      ready: parts.every(({ ok }) => ok),
      parts: [...parts],
      scrub: this.#facts.scrub(),
    };
  }

  /** Needs no credentials: it says nothing of any image, and a gateway asks it before it has a caller. */
  async getServiceInfo(): Promise<GetServiceInfoResponse> {
    return Promise.resolve(this.#facts.info);
  }

  async listStores(_request: ListStoresRequest, context: ServiceContext): Promise<ListStoresResponse> {
    const caller = await context.caller();
    authorize('stores_info_detail', caller, { owner: caller.projectId });
    return { stores: [...this.#facts.stores] };
  }

  async getCaller(_request: GetCallerRequest, context: ServiceContext): Promise<GetCallerResponse> {
    const { kind, userId, projectId, roles } = await context.caller();
    return { kind: KINDS[kind], userId, projectId: projectId ?? '', roles: [...roles] };
  }

  /** Where the nodes stand is for administrators, hosts and nodes. */
  async listNodes(_request: ListNodesRequest, context: ServiceContext): Promise<ListNodesResponse> {
    const caller = await context.caller();
    if (!isAdmin(caller) && !isService(caller) && caller.kind !== 'node')
      throw new ServiceError('FORBIDDEN', 'Only administrators and hosts see the nodes of the cluster.');
    return this.#facts.cluster.listNodes(context);
  }

  /** Needs no credentials but its proof. */
  async join(request: JoinRequest): Promise<JoinResponse> {
    return this.#facts.cluster.join(request);
  }

  async announceNode(request: AnnounceNodeRequest, context: ServiceContext): Promise<AnnounceNodeResponse> {
    return this.#facts.cluster.announceNode(request, context);
  }

  async holdPosition(request: HoldPositionRequest, context: ServiceContext): Promise<HoldPositionResponse> {
    return this.#facts.cluster.holdPosition(request, context);
  }

  /** Needs no credentials but its proof. */
  async fenceAuthority(request: FenceAuthorityRequest): Promise<FenceAuthorityResponse> {
    return this.#facts.cluster.fenceAuthority(request);
  }

  /** Reasons are those of `EventFeed.watch`. */
  async *watchEvents(request: WatchEventsRequest, context: ServiceContext): AsyncGenerator<WatchEventsResponse> {
    const { after } = request;
    const { signal } = context;
    const messages = this.#facts.feed.watch(await context.caller(), { after, signal });
    for await (const message of messages) yield eventMessage(message);
  }

  async listCachedImages(
    request: cache.ListCachedImagesRequest,
    context: ServiceContext,
  ): Promise<cache.ListCachedImagesResponse> {
    return this.#facts.cache.listCachedImages(request, context);
  }

  async cacheImage(request: cache.CacheImageRequest, context: ServiceContext): Promise<cache.CacheImageResponse> {
    return this.#facts.cache.cacheImage(request, context);
  }

  async removeCachedImage(
    request: cache.RemoveCachedImageRequest,
    context: ServiceContext,
  ): Promise<cache.RemoveCachedImageResponse> {
    return this.#facts.cache.removeCachedImage(request, context);
  }

  async clearCache(request: cache.ClearCacheRequest, context: ServiceContext): Promise<cache.ClearCacheResponse> {
    return this.#facts.cache.clearCache(request, context);
  }

  async cleanCache(request: cache.CleanCacheRequest, context: ServiceContext): Promise<cache.CleanCacheResponse> {
    return this.#facts.cache.cleanCache(request, context);
  }

  async pruneCache(request: cache.PruneCacheRequest, context: ServiceContext): Promise<cache.PruneCacheResponse> {
    return this.#facts.cache.pruneCache(request, context);
  }

  async pinCachedImage(
    request: cache.PinCachedImageRequest,
    context: ServiceContext,
  ): Promise<cache.PinCachedImageResponse> {
    return this.#facts.cache.pinCachedImage(request, context);
  }
}
