/**
 * The generated interfaces over several nodes: a call that meets no answer is sent to the next node. A change carries a
 * request id, its caller's or a new one, so that it happens once however often it is sent.
 */
import { randomUUID } from 'node:crypto';
import { type CallOptions, Metadata } from 'nice-grpc-common';
import { failedWith } from '../../base/service-error.js';
import type { CatalogServiceClient } from '../../gen/oriel/catalog/v1/catalog_service.js';
import type { NodeServiceClient, WatchEventsResponse } from '../../gen/oriel/node/v1/node_service.js';
import type { GatewayBackend } from '../gateway-options.js';
import { type CallerPositions, positionIn } from './caller-positions.js';
import { mayGoElsewhere, type NodePool } from './node-pool.js';

const NEVER_ABORTED = new AbortController().signal;

type Method<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;
type Of<Request, Response> = (backend: GatewayBackend) => Method<Request, Response>;

/** Binds the catalog's client interface to the nodes of the pool. */
export function pooledCatalog(pool: NodePool, positions: CallerPositions): CatalogServiceClient {
  const read = reader(pool, positions);
  const write = writer(pool, positions);
  return {
    getImage: read(({ catalog }) => catalog.getImage.bind(catalog)),
    listImages: read(({ catalog }) => catalog.listImages.bind(catalog)),
    getMember: read(({ catalog }) => catalog.getMember.bind(catalog)),
    listMembers: read(({ catalog }) => catalog.listMembers.bind(catalog)),
    createImage: write(({ catalog }) => catalog.createImage.bind(catalog)),
    updateImage: write(({ catalog }) => catalog.updateImage.bind(catalog)),
    deleteImage: write(({ catalog }) => catalog.deleteImage.bind(catalog)),
    deactivateImage: write(({ catalog }) => catalog.deactivateImage.bind(catalog)),
    reactivateImage: write(({ catalog }) => catalog.reactivateImage.bind(catalog)),
    addImageTag: write(({ catalog }) => catalog.addImageTag.bind(catalog)),
    removeImageTag: write(({ catalog }) => catalog.removeImageTag.bind(catalog)),
    createMember: write(({ catalog }) => catalog.createMember.bind(catalog)),
    updateMember: write(({ catalog }) => catalog.updateMember.bind(catalog)),
    deleteMember: write(({ catalog }) => catalog.deleteMember.bind(catalog)),
    listImageLocations: read(({ catalog }) => catalog.listImageLocations.bind(catalog)),
    addImageLocation: write(({ catalog }) => catalog.addImageLocation.bind(catalog)),
    removeImageFromStore: write(({ catalog }) => catalog.removeImageFromStore.bind(catalog)),
    repairImage: write(({ catalog }) => catalog.repairImage.bind(catalog)),
    restoreImage: write(({ catalog }) => catalog.restoreImage.bind(catalog)),
    // A node's own calls: what they do is bound to the node, so the one that is asked answers.
    beginUpload: once(pool, ({ catalog }) => catalog.beginUpload.bind(catalog)),
    commitUpload: once(pool, ({ catalog }) => catalog.commitUpload.bind(catalog)),
    abortUpload: once(pool, ({ catalog }) => catalog.abortUpload.bind(catalog)),
    forgetGarbage: once(pool, ({ catalog }) => catalog.forgetGarbage.bind(catalog)),
    reportLocation: once(pool, ({ catalog }) => catalog.reportLocation.bind(catalog)),
    endImageRepair: once(pool, ({ catalog }) => catalog.endImageRepair.bind(catalog)),
  };
}

/** Binds the node's client interface to the nodes of the pool: each call is answered by one of them. */
export function pooledNode(pool: NodePool, positions: CallerPositions): NodeServiceClient {
  const read = reader(pool, positions);
  return {
    getNodeStatus: read(({ node }) => node.getNodeStatus.bind(node)),
    getServiceInfo: read(({ node }) => node.getServiceInfo.bind(node)),
    listStores: read(({ node }) => node.listStores.bind(node)),
    getCaller: read(({ node }) => node.getCaller.bind(node)),
    listNodes: read(({ node }) => node.listNodes.bind(node)),
    join: once(pool, ({ node }) => node.join.bind(node)),
    announceNode: once(pool, ({ node }) => node.announceNode.bind(node)),
    holdPosition: once(pool, ({ node }) => node.holdPosition.bind(node)),
    fenceAuthority: once(pool, ({ node }) => node.fenceAuthority.bind(node)),
    // Each node has a cache of its own; the preferred one that answers is asked.
    listCachedImages: read(({ node }) => node.listCachedImages.bind(node)),
    cacheImage: read(({ node }) => node.cacheImage.bind(node)),
    removeCachedImage: read(({ node }) => node.removeCachedImage.bind(node)),
    clearCache: read(({ node }) => node.clearCache.bind(node)),
    cleanCache: read(({ node }) => node.cleanCache.bind(node)),
    pruneCache: read(({ node }) => node.pruneCache.bind(node)),
    pinCachedImage: read(({ node }) => node.pinCachedImage.bind(node)),
    watchEvents: (request, options) => watch(pool, request, options),
  };
}

type WatchRequest = Parameters<NodeServiceClient['watchEvents']>[0];

/** One that has begun stays at its node, and ends with it: its caller goes on after its last token, here or elsewhere. */
async function* watch(
  pool: NodePool,
  request: WatchRequest,
  options?: CallOptions,
): AsyncGenerator<WatchEventsResponse, void, undefined> {
  const caller = options?.signal ?? NEVER_ABORTED;
  const failures: unknown[] = [];
  for (const stay of pool.stays(caller)) {
    const { node } = stay.backend;
    let begun = false;
    try {
      const messages = node.watchEvents(request, { metadata: metadataOf(options), signal: stay.signal });
      for await (const message of messages) {
        begun = true;
        stay.answered();
        yield message;
      }
      return;
    } catch (error) {
      const failure = stay.failure(error, begun ? 'midway' : 'at the start');
      const full = failedWith(failure, 'TOO_MANY_WATCHERS');
      if (begun || caller.aborted || !(full || mayGoElsewhere(failure))) throw failure;
      failures.push(failure);
    } finally {
      stay.end();
    }
  }
  throw pool.verdict(failures);
}

function reader(pool: NodePool, positions: CallerPositions) {
  return <Request, Response>(of: Of<Request, Response>): Method<Request, Response> =>
    async (request, options) => {
      const caller = metadataOf(options);
      const onHeader = (header: Metadata): void => {
        positions.note(caller, header, 'read');
        options?.onHeader?.(header);
      };
      const send = (metadata: Metadata): Promise<Response> =>
        pool.run(options?.signal ?? NEVER_ABORTED, ({ backend, signal }) =>
          of(backend)(request, { metadata, signal, onHeader }),
        );
      const seen = positions.carriedBy(caller, 'seen');
      try {
        return await send(seen);
      } catch (error) {
        // Where no node has what the caller has seen, an older answer is better than none; but never without its own writes.
        const written = positions.carriedBy(caller, 'written');
        if (!failedWith(error, 'UNAVAILABLE') || positionIn(written) === positionIn(seen)) throw error;
        return await send(written);
      }
    };
}

function writer(pool: NodePool, positions: CallerPositions) {
  return <Request extends { readonly requestId?: string | undefined }, Response>(
    of: Of<Request, Response>,
  ): Method<Request, Response> =>
    (request, options) => {
      const metadata = metadataOf(options);
      const named = (request.requestId ?? '') === '' ? { ...request, requestId: randomUUID() } : request;
      const onHeader = (header: Metadata): void => {
        positions.note(metadata, header, 'change');
        options?.onHeader?.(header);
      };
      return pool.run(options?.signal ?? NEVER_ABORTED, ({ backend, signal }) =>
        of(backend)(named, { metadata, signal, onHeader }),
      );
    };
}

function once<Request, Response>(pool: NodePool, of: Of<Request, Response>): Method<Request, Response> {
  return async (request, options) => {
    for (const stay of pool.stays(options?.signal ?? NEVER_ABORTED)) {
      try {
        return await of(stay.backend)(request, {
          ...headerOf(options),
          metadata: metadataOf(options),
          signal: stay.signal,
        });
      } catch (error) {
        throw stay.failure(error);
      } finally {
        stay.end();
      }
    }
    throw pool.verdict([]);
  };
}

// The options may be of a class whose signal is a getter: a spread would lose it (exchange.ts).
function headerOf(options: CallOptions | undefined): Pick<CallOptions, 'onHeader'> {
  if (options?.onHeader === undefined) return {};
  return { onHeader: (header) => options.onHeader?.(header) };
}

function metadataOf(options: CallOptions | undefined): Metadata {
  return options?.metadata ?? Metadata();
}
