import { ServiceError } from '../base/service-error.js';
import type { Location, ObjectPlace } from '../domain/location.js';
import { type IdleLimit, withIdleLimit } from './idle-limit.js';
import { isOwn, type OwnNode } from './own-objects.js';
import type { ByteRange } from './ports/image-store.js';
import type { PeerObjects } from './ports/peer-objects.js';
import type { StoreRegistry } from './store-registry.js';

/** The stores that a node can read from: its own, those that it shares with other nodes, and those of other nodes. */
export interface ReadableStores extends OwnNode, IdleLimit {
  readonly stores: StoreRegistry;
  /** null: a single node. */
  readonly peers: PeerObjects | null;
}

/** How an object is read: from a store that this node has, or through the node that wrote it. */
export type Through = 'store' | 'node';

/** An object as it is read: where, under the id of a location of its image, and how large it must be. */
export interface ReadObject {
  readonly location: Pick<Location, 'id'> & ObjectPlace;
  readonly sizeBytes: number;
  /** Absent: the shortest way. */
  readonly through?: Through;
}

/** In which ways this node can read the object, the shortest first; none: it cannot. */
export function waysTo(context: ReadableStores, place: ObjectPlace): readonly Through[] {
  if (isOwn(context, place)) return ['store'];
  const here: readonly Through[] = context.stores.isShared(place.storeId) ? ['store'] : [];
  return context.peers === null ? here : [...here, 'node'];
}

/** Tells whether this node has the store that the object lies in: its own, or one that all nodes with that name share. */
export function isHere(context: OwnNode & Pick<ReadableStores, 'stores'>, place: ObjectPlace): boolean {
  return isOwn(context, place) || context.stores.isShared(place.storeId);
}

/**
 * Opens a range of an object wherever it is. Resolves when there is an object of that size, and, at another node, when that one
 * has begun to answer. NOT_FOUND: there is none. UNAVAILABLE: the store or node does not answer, or not in time. Others as
 * ImageStore.read.
 */
export async function openReadable(
  context: ReadableStores,
  { location, sizeBytes, through = waysTo(context, location)[0] ?? 'node' }: ReadObject,
  range: ByteRange,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const { stores, peers } = context;
  if (through === 'store') {
    const store = stores.get(location.storeId);
    if (store === undefined) throw new ServiceError('NOT_FOUND', `this node has no store ${location.storeId}`);
    const found = await withIdleLimit(store.stat(location.key), context);
    if (found?.sizeBytes === sizeBytes) return store.read(location.key, range, { signal });
    const what = found === undefined ? 'nothing' : `${found.sizeBytes} bytes`;
    throw new ServiceError(
      'NOT_FOUND',
      `store ${location.storeId}: expected ${sizeBytes} bytes of an object, found ${what}`,
    );
  }
  if (peers === null) throw new ServiceError('NOT_FOUND', 'the object is in a store of another node');
  return peers.open(location, range, { sizeBytes, signal });
}
