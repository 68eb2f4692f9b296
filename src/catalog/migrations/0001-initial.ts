/**
 * The first schema.
 *
 * images             one row per image ever made; tombstones stay, so that an id is never used twice (OSSN-0075).
 *                    Tags, properties and locations are JSON, so that one select loads an image.
 * listing_*          the ordered inverted index of lists (docs/decisions/0010): a row per (term, image), in the order
 *                    of one sort key. A term is the hash of a fact such as "tag x" or "owner p, private", times two,
 *                    plus one when the image is hidden. Killed, deleted and pending_delete images have no rows.
 * image_members      `term` is the hash without the hidden bit.
 * ops                one row per applied operation, newest last; pruned after a day.
 * guard              always empty: an insert into it fails its check and so rolls back the savepoint it is in.
 */
export const SQL = `
create table meta (
  name text not null primary key,
  value integer not null
) strict, without rowid;
insert into meta (name, value) values ('epoch', 1), ('frame', 0);

create table ops (
  seq integer primary key,
  op_id text not null unique,
  nonce text not null,
  subject text not null,
  at_ms integer not null,
  frame integer not null
) strict;

create table guard (
  ok integer not null check (ok = 1)
) strict;

create table images (
  row_number integer primary key,
  id text not null unique,
  version integer not null,
  status text not null,
  name text,
  owner text,
  visibility text not null,
  protected integer not null,
  os_hidden integer not null,
  disk_format text,
  container_format text,
  min_disk integer not null,
  min_ram integer not null,
  size integer,
  virtual_size integer,
  checksum text,
  os_hash_algo text,
  os_hash_value text,
  created_at integer not null,
  updated_at integer not null,
  deleted_at integer,
  upload_id text,
  file_map text,
  tags text not null,
  properties text not null,
  locations text not null
) strict;
create index images_checksum on images (checksum) where checksum is not null;
create index images_os_hash_value on images (os_hash_value) where os_hash_value is not null;

create table listing_created_at (
  term integer not null,
  created_at integer not null,
  id text not null,
  visibility integer not null,
  owner integer not null,
  primary key (term, created_at, id)
) strict, without rowid;

create table listing_updated_at (
  term integer not null,
  updated_at integer not null,
  created_at integer not null,
  id text not null,
  visibility integer not null,
  owner integer not null,
  primary key (term, updated_at, created_at, id)
) strict, without rowid;

create table listing_name (
  term integer not null,
  name text not null,
  created_at integer not null,
  id text not null,
  visibility integer not null,
  owner integer not null,
  primary key (term, name, created_at, id)
) strict, without rowid;

create table listing_size (
  term integer not null,
  size integer not null,
  created_at integer not null,
  id text not null,
  visibility integer not null,
  owner integer not null,
  primary key (term, size, created_at, id)
) strict, without rowid;

create table image_members (
  image_id text not null references images (id),
  member_id text not null,
  status text not null,
  term integer not null,
  created_at integer not null,
  updated_at integer not null,
  primary key (image_id, member_id)
) strict, without rowid;

create table uploads (
  upload_id text not null primary key,
  image_id text not null references images (id),
  node_id text not null,
  store_id text not null,
  object_key text not null,
  map_key text not null,
  started_at integer not null
) strict, without rowid;
create index uploads_node on uploads (node_id);
create index uploads_image on uploads (image_id);

create table garbage (
  store_id text not null,
  object_key text not null,
  primary key (store_id, object_key)
) strict, without rowid;
`;
