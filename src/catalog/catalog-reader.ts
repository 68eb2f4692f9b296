import { LRUCache } from 'lru-cache';
import type { CatalogReader, Change, Garbage, UploadLease } from '../application/ports/catalog.js';
import {
  asImageId,
  asNodeId,
  asObjectKey,
  asProjectId,
  asStoreId,
  asUploadId,
  type ImageId,
  type NodeId,
  type ObjectKey,
  type ProjectId,
  type StoreId,
  type UploadId,
} from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type ClusterNode, NODE_ROLES } from '../domain/cluster-node.js';
import type { FeedState } from '../domain/feed-point.js';
import type { Image } from '../domain/image.js';
import type { ImageWork, WorkName } from '../domain/image-work.js';
import { MEMBER_STATUSES, type Member } from '../domain/member.js';
import { type Connection, integerAt, integerOrNullAt, type Row, textAt, textOrNullAt } from './connection.js';
import { parseEvents } from './feed/event-text.js';
import { IMAGE_COLUMNS, imageOfRow } from './image-row.js';
import { KNOWN_KINDS, WORK_COLUMNS, workOfRow } from './image-work-row.js';

const IMAGE = `select ${IMAGE_COLUMNS.join(', ')} from images where id = ?`;
const IMAGES_AFTER = `select ${IMAGE_COLUMNS.join(', ')} from images where id > ? order by id limit ?`;
const PENDING_DELETES =
  "select id from images where status = 'pending_delete' and updated_at < ? order by updated_at limit ?";
const VERSION = 'select version from images where id = ?';
const MEMBER_COLUMNS = 'image_id, member_id, status, created_at, updated_at';
const UPLOAD_COLUMNS = 'upload_id, image_id, node_id, store_id, object_key, map_key, started_at';
/** Images kept in memory: by number, and by the text they hold, of which a user may put 8 MiB into one. */
const CACHED_IMAGES = 10_000;
const CACHED_CHARACTERS = 16 * 1024 * 1024;
const FEED_STATE =
  "select (select value from meta where name = 'epoch'), (select min(seq) from ops), (select max(seq) from ops)";
const NODE_COLUMNS = 'node_id, role, site, version, http_url, grpc_address, stores, public_key, seen_at';
/** More nodes than a cluster of one writer bears; the bound keeps the read short. */
const NODES_LIMIT = 10_000;
/** More uploads than a node can run at once; the bound keeps the read short. */
const UPLOADS_LIMIT = 10_000;

/** The typed reads of the port over one connection, and the cache of whole images. */
export class EmbeddedReader implements CatalogReader {
  readonly #connection: Connection;
  readonly #images = new LRUCache<ImageId, Image>({
    max: CACHED_IMAGES,
    maxSize: CACHED_CHARACTERS,
    sizeCalculation: charactersOf,
  });

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  image(id: ImageId): Image | undefined {
    const cached = this.#images.get(id);
    if (cached !== undefined && cached.version === this.imageVersion(id)) return cached;
    const row = this.#connection.get(IMAGE, id);
    if (row === undefined) return undefined;
    const image = imageOfRow(row);
    this.#images.set(id, image);
    return image;
  }

  /** The image, known to have had this version a moment ago: saves the check of the version. */
  imageAt(id: ImageId, version: number): Image | undefined {
    const cached = this.#images.get(id);
    return cached?.version === version ? cached : this.image(id);
  }

  imageVersion(id: ImageId): number | undefined {
    const row = this.#connection.get(VERSION, id);
    return row === undefined ? undefined : integerAt(row, 0);
  }

  member(imageId: ImageId, memberId: ProjectId): Member | undefined {
    const row = this.#connection.get(
      `select ${MEMBER_COLUMNS} from image_members where image_id = ? and member_id = ?`,
      imageId,
      memberId,
    );
    return row === undefined ? undefined : memberOf(row);
  }

  members(imageId: ImageId, page: { readonly after: string; readonly limit: number }): readonly Member[] {
    return this.#connection
      .all(
        `select ${MEMBER_COLUMNS} from image_members where image_id = ? and member_id > ? order by member_id limit ?`,
        imageId,
        page.after,
        page.limit,
      )
      .map(memberOf);
  }

  memberCount(imageId: ImageId): number {
    const row = this.#connection.get('select count(*) from image_members where image_id = ?', imageId);
    return row === undefined ? 0 : integerAt(row, 0);
  }

  upload(uploadId: UploadId): UploadLease | undefined {
    const row = this.#connection.get(`select ${UPLOAD_COLUMNS} from uploads where upload_id = ?`, uploadId);
    return row === undefined ? undefined : uploadOf(row);
  }

  uploadsOfNode(nodeId: NodeId): readonly UploadLease[] {
    return this.#connection
      .all(`select ${UPLOAD_COLUMNS} from uploads where node_id = ? order by started_at limit ${UPLOADS_LIMIT}`, nodeId)
      .map(uploadOf);
  }

  garbage(
    place: { readonly nodeId: NodeId; readonly unnamed: boolean; readonly storeIds: readonly StoreId[] },
    limit: number,
  ): readonly Garbage[] {
    const { nodeId, unnamed, storeIds } = place;
    return this.#connection
      .all(
        'select node_id, store_id, object_key from garbage ' +
          'where node_id in (?, ?) and store_id in (select value from json_each(?)) limit ?',
        nodeId,
        unnamed ? '' : nodeId,
        JSON.stringify(storeIds),
        limit,
      )
      .map((row) => ({
        nodeId: row[0] === '' ? null : asNodeId(textAt(row, 0)),
        storeId: asStoreId(textAt(row, 1)),
        key: keyAt(row, 2),
      }));
  }

  work(nodeId: NodeId, after: WorkName | undefined, limit: number): readonly ImageWork[] {
    return this.#connection
      .all(
        `select ${WORK_COLUMNS} from image_work where node_id = ? and (kind, image_id) > (?, ?) ` +
          `and ${KNOWN_KINDS} order by kind, image_id limit ?`,
        nodeId,
        after?.kind ?? '',
        after?.imageId ?? '',
        limit,
      )
      .map(workOfRow);
  }

  workOf({ nodeId, kind, imageId }: WorkName): ImageWork | undefined {
    const where = 'node_id = ? and kind = ? and image_id = ?';
    const row = this.#connection.get(`select ${WORK_COLUMNS} from image_work where ${where}`, nodeId, kind, imageId);
    return row === undefined ? undefined : workOfRow(row);
  }

  // Not kept in memory: who walks through all images would put those that are asked for out of it.
  imagesAfter(after: ImageId | undefined, limit: number): readonly Image[] {
    return this.#connection.all(IMAGES_AFTER, after ?? '', limit).map(imageOfRow);
  }

  pendingDeletes(changedBeforeMs: number, limit: number): readonly ImageId[] {
    return this.#connection.all(PENDING_DELETES, changedBeforeMs, limit).map((row) => idAt(row, 0));
  }

  nodes(): readonly ClusterNode[] {
    return this.#connection
      .all(`select ${NODE_COLUMNS} from nodes order by site, node_id limit ${NODES_LIMIT}`)
      .map(nodeOf);
  }

  node(id: NodeId): ClusterNode | undefined {
    const row = this.#connection.get(`select ${NODE_COLUMNS} from nodes where node_id = ?`, id);
    return row === undefined ? undefined : nodeOf(row);
  }

  operation(opId: string): { readonly subject: string } | undefined {
    const row = this.#connection.get('select subject from ops where op_id = ?', opId);
    return row === undefined ? undefined : { subject: textAt(row, 0) };
  }

  feedState(): FeedState {
    const row = this.#connection.get(FEED_STATE);
    if (row === undefined) throw new ServiceError('DATA_CORRUPT', 'catalog: the file has no epoch');
    const lastSeq = integerOrNullAt(row, 2) ?? 0;
    return { epoch: integerAt(row, 0), firstSeq: integerOrNullAt(row, 1) ?? lastSeq + 1, lastSeq };
  }

  feedEndOf(epoch: number): number | undefined {
    const row = this.#connection.get('select seq from feed_epochs where epoch > ? order by epoch limit 1', epoch);
    return row === undefined ? undefined : integerAt(row, 0);
  }

  changes(after: number, limit: number): readonly Change[] {
    return this.#connection
      .all('select seq, at_ms, events from ops where seq > ? order by seq limit ?', after, limit)
      .map((row) => {
        const events = textOrNullAt(row, 2);
        return {
          seq: integerAt(row, 0),
          atMs: integerAt(row, 1),
          events: events === null ? [] : parseEvents(events),
        };
      });
  }
}

function memberOf(row: Row): Member {
  return {
    imageId: idAt(row, 0),
    memberId: asProjectId(textAt(row, 1)),
    status: MEMBER_STATUSES.find((status) => status === row[2]) ?? damaged('member status', row[2]),
    createdAtMs: integerAt(row, 3),
    updatedAtMs: integerAt(row, 4),
  };
}

function uploadOf(row: Row): UploadLease {
  return {
    uploadId: asUploadId(textAt(row, 0)),
    imageId: idAt(row, 1),
    nodeId: asNodeId(textAt(row, 2)),
    storeId: asStoreId(textAt(row, 3)),
    key: keyAt(row, 4),
    mapKey: keyAt(row, 5),
    startedAtMs: integerAt(row, 6),
  };
}

function nodeOf(row: Row): ClusterNode {
  const stores: unknown = JSON.parse(textAt(row, 6));
  return {
    id: asNodeId(textAt(row, 0)),
    role: NODE_ROLES.find((role) => role === row[1]) ?? damaged('node role', row[1]),
    site: textAt(row, 2),
    version: textAt(row, 3),
    httpUrl: textAt(row, 4),
    grpcAddress: textAt(row, 5),
    stores: Array.isArray(stores) ? stores.map(String) : damaged('list of stores', stores),
    publicKey: textAt(row, 7),
    seenAtMs: integerAt(row, 8),
  };
}

function idAt(row: Row, index: number): ImageId {
  return asImageId(textAt(row, index)) ?? damaged('image id', row[index]);
}

function keyAt(row: Row, index: number): ObjectKey {
  return asObjectKey(textAt(row, index)) ?? damaged('object key', row[index]);
}

function damaged(what: string, value: unknown): never {
  throw new ServiceError('DATA_CORRUPT', `catalog: a stored ${what} is ${JSON.stringify(value)}`);
}

/** The characters of the image's texts, and some for its fields. */
function charactersOf(image: Image): number {
  let characters = 512;
  for (const tag of image.tags) characters += tag.length;
  for (const [name, value] of image.properties) characters += name.length + value.length;
  return characters;
}
