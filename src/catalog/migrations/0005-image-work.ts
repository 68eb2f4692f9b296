/**
 * What nodes have to do to images of their own accord (domain/image-work.ts); a row goes with what it asked for. `candidate` is JSON,
 * null for work that is about what the image has.
 */
export const SQL = `
create table image_work (
  node_id text not null,
  kind text not null,
  image_id text not null,
  candidate text,
  primary key (node_id, kind, image_id)
) strict, without rowid;
`;
