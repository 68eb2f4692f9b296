/**
 * The catalog as the use cases see it. A use case reads, decides, and hands the catalog a list of effects; all of
 * them happen or none. Guards inside the effects make a decision that rests on an outdated read fail with
 * VERSION_CONFLICT instead of overwriting another's change.
 */
import type { ImageId, NodeId, ObjectKey, ProjectId, StoreId, UploadId } from '../../base/brand.js';
import type { CatalogEvent } from '../../domain/catalog-event.js';
import type { ClusterNode } from '../../domain/cluster-node.js';
import type { FeedState } from '../../domain/feed-point.js';
import type { ImageQuery } from '../../domain/image-query.js';
import type { ImageWork, WorkName } from '../../domain/image-work.js';
import type { Image } from '../../domain/image.js';
import type { Member } from '../../domain/member.js';
import type { Point } from '../../domain/position.js';

/** A running upload, leased to a node. */
export interface UploadLease {
  readonly uploadId: UploadId;
  readonly imageId: ImageId;
  readonly nodeId: NodeId;
  readonly storeId: StoreId;
  /** Key of the object that the upload will publish. */
  readonly key: ObjectKey;
  /** Key of the object's file.map. */
  readonly mapKey: ObjectKey;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
}

/** An object that no image uses any more and that must be removed from its store. */
export interface Garbage {
  /** The node whose store it is in; null: the authority's, from before nodes were named. */
  readonly nodeId: NodeId | null;
  readonly storeId: StoreId;
  readonly key: ObjectKey;
}

/**
 * One change of the catalog.
 * - `insert-image`: fails with ALREADY_EXISTS when the id is in use or was used by a deleted image.
 * - `update-image`: writes what differs between `before` and `after` (columns, tags, properties, locations); fails with
 *   VERSION_CONFLICT unless the stored version and status are those of `before`. `after.version` is `before.version + 1`.
 *   `members` are told when the image is deleted so.
 * - `delete-image`: turns the row into a tombstone (status deleted) and drops tags, properties, members, locations; same
 *   guard as update-image. `members` are told of it.
 * - `require-image`: changes nothing; fails with VERSION_CONFLICT unless the stored version is this one.
 * - `insert-member`: fails with ALREADY_EXISTS when the project is a member. `update-member`, `delete-member`: fail with
 *   NOT_FOUND when it is not.
 * - `insert-upload`, `delete-upload`: `delete-upload` of an absent row fails with NOT_FOUND.
 * - `add-garbage`, `remove-garbage`: no failure.
 * - `put-work`: does nothing when there is such a piece; `remove-work`: no failure.
 * - `put-node`: adds the node, or replaces what is known of it; no failure.
 */
export type Effect =
  | { readonly kind: 'insert-image'; readonly image: Image }
  | {
      readonly kind: 'update-image';
      readonly before: Image;
      readonly after: Image;
      readonly members?: readonly ProjectId[];
    }
  | {
      readonly kind: 'delete-image';
      readonly before: Image;
      readonly deletedAtMs: number;
      readonly members: readonly ProjectId[];
    }
  | { readonly kind: 'require-image'; readonly id: ImageId; readonly version: number }
  | { readonly kind: 'insert-member'; readonly member: Member }
  | { readonly kind: 'update-member'; readonly member: Member }
  | { readonly kind: 'delete-member'; readonly imageId: ImageId; readonly memberId: ProjectId }
  | { readonly kind: 'insert-upload'; readonly upload: UploadLease }
  | { readonly kind: 'delete-upload'; readonly uploadId: UploadId }
  | { readonly kind: 'add-garbage'; readonly garbage: Garbage }
  | { readonly kind: 'remove-garbage'; readonly garbage: Garbage }
  | { readonly kind: 'put-work'; readonly work: ImageWork }
  | { readonly kind: 'remove-work'; readonly work: WorkName }
  | { readonly kind: 'put-node'; readonly node: ClusterNode };

/** The point of a write, with the operation that made it. */
export interface Position extends Point {
  readonly opId: string;
}

/** What a write did. `replayed`: an operation with this id had been applied before; nothing was changed now. */
export interface WriteResult {
  readonly position: Position;
  readonly replayed: boolean;
}

/** What one write did, for the feed. */
export interface Change {
  /** Counts writes, in the order in which they were applied. */
  readonly seq: number;
  readonly atMs: number;
  readonly events: readonly CatalogEvent[];
}

/** Typed reads on one snapshot. Every method is bounded and takes well under 10 ms. */
export interface CatalogReader {
  /** The image with its tags, properties and locations; deleted ones too; undefined when the id was never used. */
  image(id: ImageId): Image | undefined;
  /** The version of the image, or undefined: the cheapest check of a cached image. */
  imageVersion(id: ImageId): number | undefined;
  member(imageId: ImageId, memberId: ProjectId): Member | undefined;
  /** At most `limit` members after `after`, ordered by member id. */
  members(imageId: ImageId, page: { readonly after: string; readonly limit: number }): readonly Member[];
  memberCount(imageId: ImageId): number;
  upload(uploadId: UploadId): UploadLease | undefined;
  uploadsOfNode(nodeId: NodeId): readonly UploadLease[];
  /** At most `limit` objects to remove from these stores of the node; `unnamed`: and those of no node. */
  garbage(
    place: { readonly nodeId: NodeId; readonly unnamed: boolean; readonly storeIds: readonly StoreId[] },
    limit: number,
  ): readonly Garbage[];
  /** At most `limit` pieces of work that the node has, in a fixed order, after this one. */
  work(nodeId: NodeId, after: WorkName | undefined, limit: number): readonly ImageWork[];
  workOf(name: WorkName): ImageWork | undefined;
  /** At most `limit` images in any status, deleted ones too, ordered by id, after this one. */
  imagesAfter(after: ImageId | undefined, limit: number): readonly Image[];
  /** At most `limit` images that await their deletion and were not changed since, the oldest first. */
  pendingDeletes(changedBeforeMs: number, limit: number): readonly ImageId[];
  /** The nodes of the cluster, ordered by site and id. */
  nodes(): readonly ClusterNode[];
  node(id: NodeId): ClusterNode | undefined;
  /** What the operation was about, when one with this id was applied within the last day. */
  operation(opId: string): { readonly subject: string } | undefined;
  feedState(): FeedState;
  /** The last change before the first epoch after this one began; undefined: none did. */
  feedEndOf(epoch: number): number | undefined;
  /** At most `limit` changes after this one, in order, those that nobody is told of among them. */
  changes(after: number, limit: number): readonly Change[];
}

export interface ReadOptions {
  /** Wait until this position is visible. */
  readonly atLeast?: Point;
}

export interface CatalogStatus {
  readonly ok: boolean;
  readonly message: string;
  readonly position: Position;
  /** How long ago this catalog was known to be as new as the authority's; 0 at the authority, null: never. */
  readonly stalenessMs: number | null;
}

export interface Catalog {
  /** Runs the synchronous function against one snapshot. UNAVAILABLE when `atLeast` is not reached in time. */
  read<T>(query: (reader: CatalogReader) => T, options?: ReadOptions): Promise<T>;
  /**
   * One page of images, whole, in order. The images that did not change since an earlier read are the same objects, so
   * that callers can key caches on them (WeakMap). Runs in a reader thread when it may take over 10 ms.
   */
  listImages(query: ImageQuery, options?: ReadOptions): Promise<readonly Image[]>;
  /**
   * Applies the effects as one transaction, durable when the promise resolves. `opId` makes a repeated call happen once;
   * `subject` is what `operation(opId)` returns later. Fails with the reasons listed at Effect; nothing is changed then.
   */
  write(effects: readonly Effect[], options: { readonly opId: string; readonly subject: string }): Promise<WriteResult>;
  /** Resolves when a read would see this point; UNAVAILABLE, saying how far it has come, when that takes too long. */
  waitFor(point: Point): Promise<void>;
  /** Calls the listener when reads may see more than before; returns what ends that. */
  onAdvance(listener: () => void): () => void;
  status(): CatalogStatus;
  close(): Promise<void>;
}
