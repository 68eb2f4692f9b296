import { ServiceError } from '../base/service-error.js';
import type { Location, ObjectPlace } from '../domain/location.js';
import { type IdleLimit, withIdleLimit } from './idle-limit.js';
import { isOwn, type OwnNode } from './own-objects.js';
import type { ByteRange } from './ports/image-store.js';
import type { PeerObjects } from './ports/peer-objects.js';
import type { StoreRegistry } from './store-registry.js';

/** The stores that a node can read from: its own, and those of other nodes. */
export interface ReadableStores extends OwnNode, IdleLimit {
  readonly stores: StoreRegistry;
  /** null: a single node. */
  readonly peers: PeerObjects | null;
}

/** An object as it is read: where, under the id of a location of its image, and how large it must be. */
export interface ReadObject {
  readonly location: Pick<Location, 'id'> & ObjectPlace;
  readonly sizeBytes: number;
}

/** Tells whether this node can read the object at all. */
export function isReadable({ peers, ...context }: ReadableStores, place: ObjectPlace): boolean {
  return peers !== null || isOwn(context, place);
}

/**
 * Opens a range of an object wherever it is. Resolves when there is an object of that size, and, at another node, when that one
 * has begun to answer. NOT_FOUND: there is none. UNAVAILABLE: the store or node does not answer, or not in time. Others as
 * ImageStore.read.
 */
export async function openReadable(
  context: ReadableStores,
  { location, sizeBytes }: ReadObject,
  range: ByteRange,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const { stores, peers } = context;
  if (isOwn(context, location)) {
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
