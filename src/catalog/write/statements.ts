/**
 * Every statement that changes the catalog, by name. The lane's process is sent names and values; a remote lane can
 * send the same texts.
 */
import { IMAGE_COLUMNS } from '../image-row.js';

/** A table of the list index, and how its key is read from a row of `images` (null values sort as '' or 0). */
const LISTINGS = {
  created_at: { columns: 'created_at, id', fromImage: 'created_at, id', match: 'created_at = ?3 and id = ?5' },
  updated_at: {
    columns: 'updated_at, created_at, id',
    fromImage: 'updated_at, created_at, id',
    match: 'updated_at = ?4 and created_at = ?3 and id = ?5',
  },
  name: {
    columns: 'name, created_at, id',
    fromImage: "coalesce(name, ''), created_at, id",
    match: 'name = ?4 and created_at = ?3 and id = ?5',
  },
  size: {
    columns: 'size, created_at, id',
    fromImage: 'coalesce(size, 0), created_at, id',
    match: 'size = ?4 and created_at = ?3 and id = ?5',
  },
} as const;

export type ListingKey = keyof typeof LISTINGS;
export const LISTING_KEYS = ['created_at', 'updated_at', 'name', 'size'] as const satisfies readonly ListingKey[];

const UNLISTED = "('killed', 'deleted', 'pending_delete')";

/** ?1 terms as a JSON array, ?2 hidden bit, ?3 created_at, ?4 key, ?5 id, ?6 the id again or null: members too. */
const TERMS = 'select value from json_each(?1) union all select term * 2 + ?2 from image_members where image_id = ?6';

/** ?7 visibility, ?8 hash of the owner. */
function post(key: ListingKey): string {
  const values = key === 'created_at' ? '?3, ?5' : '?4, ?3, ?5';
  return (
    `insert or ignore into listing_${key} (term, ${LISTINGS[key].columns}, visibility, owner) ` +
    `select value, ${values}, ?7, ?8 from (${TERMS})`
  );
}

function unpost(key: ListingKey): string {
  return `delete from listing_${key} where term in (${TERMS}) and ${LISTINGS[key].match}`;
}

/** ?1 hash of the fact, ?2 image. The hints for scope stay 0: lists driven by a member read each image anyway. */
function postMember(key: ListingKey): string {
  return (
    `insert or ignore into listing_${key} (term, ${LISTINGS[key].columns}, visibility, owner) ` +
    `select ?1 * 2 + os_hidden, ${LISTINGS[key].fromImage}, 0, 0 from images where id = ?2 and status not in ${UNLISTED}`
  );
}

/** ?1 hashes of facts as a JSON array, ?2 image. */
function unpostMember(key: ListingKey): string {
  return (
    `delete from listing_${key} where term in ` +
    '(select j.value * 2 + i.os_hidden from images i, json_each(?1) j where i.id = ?2) ' +
    `and (${LISTINGS[key].columns}) = (select ${LISTINGS[key].fromImage} from images where id = ?2)`
  );
}

/** A select that finds nothing makes this fail; one that finds a row makes it do nothing. */
function guard(select: string): string {
  return `insert into guard (ok) select 0 where not exists (${select})`;
}

export const STATEMENTS = {
  insertOperation: 'insert into ops (op_id, nonce, subject, at_ms, frame, events) values (?, ?, ?, ?, ?, ?)',
  insertImage: `insert into images (${IMAGE_COLUMNS.join(', ')}) values (${IMAGE_COLUMNS.map(() => '?').join(', ')})`,
  guardImage: guard('select 1 from images where id = ? and version = ? and status = ?'),
  guardVersion: guard('select 1 from images where id = ? and version = ?'),
  updateImage: `update images set ${IMAGE_COLUMNS.slice(1)
    .map((column) => `${column} = ?`)
    .join(', ')} where id = ?`,
  post_created_at: post('created_at'),
  post_updated_at: post('updated_at'),
  post_name: post('name'),
  post_size: post('size'),
  unpost_created_at: unpost('created_at'),
  unpost_updated_at: unpost('updated_at'),
  unpost_name: unpost('name'),
  unpost_size: unpost('size'),
  insertMember:
    'insert into image_members (image_id, member_id, status, term, created_at, updated_at) values (?, ?, ?, ?, ?, ?)',
  guardMember: guard('select 1 from image_members where image_id = ? and member_id = ?'),
  updateMember: 'update image_members set status = ?, term = ?, updated_at = ? where image_id = ? and member_id = ?',
  deleteMember: 'delete from image_members where image_id = ? and member_id = ?',
  deleteMembers: 'delete from image_members where image_id = ?',
  postMember_created_at: postMember('created_at'),
  postMember_updated_at: postMember('updated_at'),
  postMember_name: postMember('name'),
  postMember_size: postMember('size'),
  unpostMember_created_at: unpostMember('created_at'),
  unpostMember_updated_at: unpostMember('updated_at'),
  unpostMember_name: unpostMember('name'),
  unpostMember_size: unpostMember('size'),
  insertUpload:
    'insert into uploads (upload_id, image_id, node_id, store_id, object_key, map_key, started_at) values (?, ?, ?, ?, ?, ?, ?)',
  guardUpload: guard('select 1 from uploads where upload_id = ?'),
  deleteUpload: 'delete from uploads where upload_id = ?',
  addGarbage: 'insert or ignore into garbage (node_id, store_id, object_key) values (?, ?, ?)',
  removeGarbage: 'delete from garbage where node_id = ? and store_id = ? and object_key = ?',
  putWork: 'insert or ignore into image_work (node_id, kind, image_id, candidate) values (?, ?, ?, ?)',
  removeWork: 'delete from image_work where node_id = ? and kind = ? and image_id = ?',
  putNode:
    'insert or replace into nodes (node_id, role, site, version, http_url, grpc_address, stores, public_key, seen_at) ' +
    'values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
} as const satisfies Record<string, string>;

export type StatementName = keyof typeof STATEMENTS;
