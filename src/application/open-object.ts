import { asObjectKey, asStoreId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type RangeRequest, resolveRange } from '../domain/byte-range.js';
import type { DataContext } from './data-context.js';
import { withIdleLimit } from './idle-limit.js';

export interface OpenedObject {
  readonly sizeBytes: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** A chunk's memory may be overwritten once the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Opens a range of an object in a store of this node. NOT_FOUND: no such store or object, or one of another size, which is
 * not what the catalog means. RANGE_INVALID.
 */
export async function openObject(
  context: Pick<DataContext, 'stores' | 'timer' | 'storeIdleMs'>,
  request: {
    readonly storeId: string;
    readonly key: string;
    readonly sizeBytes: number;
    readonly range: RangeRequest;
  },
  signal: AbortSignal,
): Promise<OpenedObject> {
  const key = asObjectKey(request.key);
  const store = context.stores.get(asStoreId(request.storeId));
  const found = key === undefined || store === undefined ? undefined : await withIdleLimit(store.stat(key), context);
  if (key === undefined || store === undefined || found?.sizeBytes !== request.sizeBytes)
    throw new ServiceError('NOT_FOUND', 'This node has no such object.');
  const range = resolveRange(request.range, found.sizeBytes);
  return { sizeBytes: found.sizeBytes, ...range, chunks: store.read(key, range, { signal }) };
}
