/** A value of type `T` that cannot be mistaken for another of the same type: `Brand<string, 'ImageId'>`. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** The id of an image: UUID text, 8-4-4-4-12, any hex case, kept as given (Images API v2 §3.1 "id"). */
export type ImageId = Brand<string, 'ImageId'>;
/** The id of a project, which owns images or is a member of them. */
export type ProjectId = Brand<string, 'ProjectId'>;
/** The name of a configured store. */
export type StoreId = Brand<string, 'StoreId'>;
/** The id of a node, stable over restarts. */
export type NodeId = Brand<string, 'NodeId'>;
/** Names one object in a store: letters, digits, `-`, `.`, `_` and single slashes; never starts with a dot. */
export type ObjectKey = Brand<string, 'ObjectKey'>;
/** Names one running upload; unguessable. */
export type UploadId = Brand<string, 'UploadId'>;

const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;
const OBJECT_KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** Returns the text as an image id, or undefined when it is not UUID text. */
export function asImageId(text: string): ImageId | undefined {
  return UUID.test(text) ? (text as ImageId) : undefined;
}

/** Brands a project id; any text is one. */
export function asProjectId(text: string): ProjectId {
  return text as ProjectId;
}

/** Brands a store id; whether the store exists is for the registry of stores to say. */
export function asStoreId(text: string): StoreId {
  return text as StoreId;
}

/** Brands a node id. */
export function asNodeId(text: string): NodeId {
  return text as NodeId;
}

/** Brands an upload id. */
export function asUploadId(text: string): UploadId {
  return text as UploadId;
}

/** Returns the text as an object key, or undefined when it could leave the store's own tree. */
export function asObjectKey(text: string): ObjectKey | undefined {
  return text.length <= 255 && OBJECT_KEY.test(text) ? (text as ObjectKey) : undefined;
}
