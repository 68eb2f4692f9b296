import type { NodeId, ObjectKey, StoreId } from '../base/brand.js';

/** A place where the data of an image lies: an object in a store of ours. */
export interface Location {
  readonly id: string;
  /** The node that the store belongs to; null: the authority's, from before nodes were named. */
  readonly nodeId: NodeId | null;
  readonly storeId: StoreId;
  readonly key: ObjectKey;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The map of a stored file: an object of its own beside the data, with the digest that pins it (`blocks/file-map.ts`). */
export interface FileMapRef {
  readonly storeId: StoreId;
  readonly key: ObjectKey;
  readonly sizeBytes: number;
  /** SHA-256 of the map object, lower-case hex. */
  readonly sha256: string;
}
