/**
 * The nodes of a cluster, and whose store a piece of garbage is in. A single node has its garbage under '' from before; so
 * has the authority that adopted it. `stores` is a JSON array of names.
 */
export const SQL = `
create table nodes (
  node_id text not null primary key,
  role text not null,
  site text not null,
  version text not null,
  http_url text not null,
  grpc_address text not null,
  stores text not null,
  public_key text not null,
  seen_at integer not null
) strict, without rowid;

create table garbage_of_nodes (
  node_id text not null default '',
  store_id text not null,
  object_key text not null,
  primary key (node_id, store_id, object_key)
) strict, without rowid;
insert into garbage_of_nodes (node_id, store_id, object_key) select '', store_id, object_key from garbage;
drop table garbage;
alter table garbage_of_nodes rename to garbage;
`;
