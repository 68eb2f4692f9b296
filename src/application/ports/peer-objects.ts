import type { Location } from '../../domain/location.js';
import type { ByteRange } from './image-store.js';

/** Objects in the stores of other nodes. */
export interface PeerObjects {
  /**
   * Opens a range of an object at the node that has it; resolves when that node has begun to answer. A chunk's memory may be
   * overwritten once the next one is asked for. UNAVAILABLE: the node cannot be reached, or is not known. NOT_FOUND: it has no
   * such object. Others as ImageStore.read.
   */
  open(
    location: Pick<Location, 'id' | 'nodeId' | 'storeId' | 'key'>,
    range: ByteRange,
    options: { readonly sizeBytes: number; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>>;
}
