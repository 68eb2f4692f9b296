/**
 * Statements that take the same step of many operations at once. `?1` is a JSON array with the values of each, as the
 * statement of that name (statements.ts) takes them. For `sqld`, which parses and compiles a statement each time it runs:
 * half of a write's time (docs/decisions/0060). A step fails here when it would fail for any of the operations.
 */
import { IMAGE_COLUMNS } from '../image-row.js';
import type { LISTING_KEYS, StatementName } from './statements.js';

const EACH = 'json_each(?1) j';
const at = (index: number): string => `j.value ->> ${index}`;

/** Columns of a list's table besides `term` and `id`, and which values they are. */
const PLACES = {
  created_at: { columns: ['created_at'], values: [2] },
  updated_at: { columns: ['updated_at', 'created_at'], values: [3, 2] },
  name: { columns: ['name', 'created_at'], values: [3, 2] },
  size: { columns: ['size', 'created_at'], values: [3, 2] },
} as const satisfies Record<(typeof LISTING_KEYS)[number], object>;

/**
 * In the order in which most operations take them, which lets operations of different kinds share statements. What is not
 * here, the statements of members, is seldom.
 */
export const MERGED_STATEMENTS: ReadonlyMap<StatementName, string> = new Map<StatementName, string>([
  ['insertOperation', insert('ops', ['op_id', 'nonce', 'subject', 'at_ms', 'frame', 'events'])],
  ['insertImage', insert('images', IMAGE_COLUMNS)],
  ['guardImage', guard(`select 1 from images where id = ${at(0)} and version = ${at(1)} and status = ${at(2)}`)],
  ['guardVersion', guard(`select 1 from images where id = ${at(0)} and version = ${at(1)}`)],
  ['guardUpload', guard(`select 1 from uploads where upload_id = ${at(0)}`)],
  ['unpost_created_at', unpost('created_at')],
  ['post_created_at', post('created_at')],
  ['unpost_updated_at', unpost('updated_at')],
  ['post_updated_at', post('updated_at')],
  ['unpost_name', unpost('name')],
  ['post_name', post('name')],
  ['unpost_size', unpost('size')],
  ['post_size', post('size')],
  [
    'updateImage',
    `update images set ${IMAGE_COLUMNS.slice(1)
      .map((column, index) => `${column} = ${at(index)}`)
      .join(', ')} from ${EACH} where images.id = ${at(IMAGE_COLUMNS.length - 1)}`,
  ],
  ['deleteMembers', `delete from image_members where image_id in (select ${at(0)} from ${EACH})`],
  [
    'insertUpload',
    insert('uploads', ['upload_id', 'image_id', 'node_id', 'store_id', 'object_key', 'map_key', 'started_at']),
  ],
  ['deleteUpload', `delete from uploads where upload_id in (select ${at(0)} from ${EACH})`],
  ['addGarbage', insert('garbage', ['node_id', 'store_id', 'object_key'], 'insert or ignore into')],
  [
    'removeGarbage',
    `delete from garbage where (node_id, store_id, object_key) in (select ${at(0)}, ${at(1)}, ${at(2)} from ${EACH})`,
  ],
]);

/**
 * Rows of a list's table: id, term, then the columns `values`. Members by their index: `j` is the
 * smaller side.
 */
function rows(values: readonly number[]): string {
  const columns = values.map((index) => `, ${at(index)}`).join('');
  const id = `cast(${at(4)} as text)`;
  return (
    `select ${id}, t.value${columns} from ${EACH}, json_each(${at(0)}) t union all ` +
    `select ${id}, m.term * 2 + (${at(1)})${columns} from ${EACH} cross join image_members m on m.image_id = ${at(5)}`
  );
}

function post(key: keyof typeof PLACES): string {
  const { columns, values } = PLACES[key];
  const into = ['id', 'term', ...columns, 'visibility', 'owner'].join(', ');
  return `insert or ignore into listing_${key} (${into}) ${rows([...values, 6, 7])}`;
}

/**
 * SQLite looks the rows up by their whole key only because the list is no union, at least outside, and because the first of
 * its columns is a text on both sides: the first decides whether any may be looked up (sqlite 3.45, comparisonAffinity).
 */
function unpost(key: keyof typeof PLACES): string {
  const { columns, values } = PLACES[key];
  return `delete from listing_${key} where (${['id', 'term', ...columns].join(', ')}) in (select * from (${rows(values)}))`;
}

function insert(table: string, columns: readonly string[], verb = 'insert into'): string {
  return `${verb} ${table} (${columns.join(', ')}) select ${columns.map((_, index) => at(index)).join(', ')} from ${EACH}`;
}

function guard(select: string): string {
  return `insert into guard (ok) select 0 from ${EACH} where not exists (${select})`;
}
