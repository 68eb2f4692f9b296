/**
 * The images of some terms in the order of an index table, read under a budget of index rows.
 *
 * Several terms are merged by SQLite: a compound select whose parts come in the order of the whole is merged row by row
 * ("MERGE (UNION)" in its plan), so no more rows are read than of one term, and an image in two of the terms comes once.
 *
 * Descending, the table read backwards is the order itself. Ascending, images with equal keys still come newest first,
 * which no scan in one direction gives; so: the rest of the marker's group backwards, then whole groups forwards, then
 * the last group, if the limit cut it, again backwards. Names and sizes have large groups, so there the index first tells
 * in which one the page ends (docs/decisions/0015).
 */
import { type Connection, integerAt, type Row, type SqlValue, textAt } from '../connection.js';
import { both, type Condition } from './list-filter.js';
import { compareSortValues, type IndexedOrder, type SortValue } from './list-order.js';
import type { Found } from './search.js';
import type { OrderedWay } from './ways.js';

/** Where the page starts: after all images with this key, or after one of them. */
export interface Place {
  readonly key: SortValue;
  readonly image: { readonly createdAtMs: number; readonly id: string } | null;
}

export interface StreamRequest {
  readonly order: IndexedOrder;
  readonly way: OrderedWay;
  /** On `images i`. */
  readonly filter: Condition;
  readonly after: Place | null;
  readonly limit: number;
  /** Rows of the index to read at most, in each of the scans. */
  readonly budget: number;
}

interface Hit extends Found {
  readonly key: SortValue;
  readonly createdAtMs: number;
}

/** The first `limit` images of the way, or undefined when the budget did not suffice. */
export function readStream(connection: Connection, request: StreamRequest): readonly Found[] | undefined {
  const { order, after, limit } = request;
  if (!order.ascending) {
    return scan(connection, request, { condition: placeBelow(order, after), backwards: true, limit })?.hits;
  }
  if (after === null) return readGroups(connection, request, { beyond: undefined, limit });
  if (after.image === null) return readGroups(connection, request, { beyond: after.key, limit });
  const { createdAtMs, id } = after.image;
  const condition =
    order.key === 'created_at'
      ? { sql: 'created_at = ? and id < ?', values: [after.key, id] }
      : { sql: `${order.key} = ? and (created_at, id) < (?, ?)`, values: [after.key, createdAtMs, id] };
  const same = scan(connection, request, { condition, backwards: true, limit });
  if (same === undefined || same.hits.length === limit) return same?.hits;
  const rest = readGroups(connection, request, { beyond: after.key, limit: limit - same.hits.length });
  return rest === undefined ? undefined : [...same.hits, ...rest];
}

interface GroupsWanted {
  /** Only groups with a larger key. */
  readonly beyond: SortValue | undefined;
  readonly limit: number;
}

/** Ascending groups, each newest first. */
function readGroups(
  connection: Connection,
  request: StreamRequest,
  { beyond, limit }: GroupsWanted,
): readonly Found[] | undefined {
  // Times are seldom alike: reading forwards once is enough.
  if (isTime(request.order)) return readForwards(connection, request, { beyond, limit });
  const end = pageEnd(connection, request, { beyond, limit });
  if (end === undefined) {
    const all = { condition: keyBeyond(request.order, beyond), backwards: false };
    if (!holdsWithin(connection, request, all)) return undefined;
    return scan(connection, request, { ...all, limit: limit + 1, known: true })?.hits;
  }
  const whole =
    end.first === end.last
      ? []
      : scan(connection, request, {
          condition: both([keyBeyond(request.order, beyond), { sql: `${request.order.key} < ?`, values: [end.last] }]),
          backwards: false,
          limit: limit + 1,
          known: true,
        })?.hits;
  if (whole === undefined || whole.length === limit) return whole;
  const last = scanGroup(connection, request, end.last, limit - whole.length);
  if (last === undefined) return undefined;
  const hits = [...whole, ...last.hits];
  if (hits.length === limit) return hits;
  // Some were not in the search in spite of their hints. Not from the start: each scan has the budget.
  const rest = readForwards(connection, request, { beyond: end.last, limit: limit - hits.length });
  return rest === undefined ? undefined : [...hits, ...rest];
}

function readForwards(
  connection: Connection,
  request: StreamRequest,
  { beyond, limit }: GroupsWanted,
): readonly Found[] | undefined {
  const condition = keyBeyond(request.order, beyond);
  // One more than wanted tells whether the last group is whole.
  const groups = scan(connection, request, { condition, backwards: false, limit: limit + 1 });
  if (groups === undefined || groups.exhausted) return groups?.hits.slice(0, limit);
  const cut = groups.hits.at(-1)?.key;
  const whole = groups.hits.filter((hit) => hit.key !== cut);
  if (cut === undefined || whole.length === limit) return whole;
  const last = scanGroup(connection, request, cut, limit - whole.length);
  return last === undefined ? undefined : [...whole, ...last.hits];
}

function scanGroup(
  connection: Connection,
  request: StreamRequest,
  key: SortValue,
  limit: number,
): ScanResult | undefined {
  const condition = { sql: `${request.order.key} = ?`, values: [key] };
  return scan(connection, request, { condition, backwards: true, limit });
}

/**
 * The first and the last key of the page by the hints alone, without an image read; the group of the last may go on
 * past the page. Undefined when fewer rows than that are within the budget.
 */
function pageEnd(
  connection: Connection,
  { order, way, budget }: StreamRequest,
  { beyond, limit }: GroupsWanted,
): { readonly first: SortValue; readonly last: SortValue } | undefined {
  const { key } = order;
  const rows = rowsOf(order, way, { condition: keyBeyond(order, beyond), backwards: false });
  const row = connection.get(
    `select min(${key}), max(${key}), count(*) from (select p.${key} from (${rows.sql}) p where ${way.hint.sql} limit ?)`,
    ...rows.values,
    budget,
    ...way.hint.values,
    limit + 1,
  );
  if (row === undefined || integerAt(row, 2) <= limit) return undefined;
  return { first: sortValueAt(row, 0), last: sortValueAt(row, 1) };
}

const ALL: Condition = { sql: '1', values: [] };

function keyBeyond({ key }: IndexedOrder, beyond: SortValue | undefined): Condition {
  return beyond === undefined ? ALL : { sql: `${key} > ?`, values: [beyond] };
}

function placeBelow({ key }: IndexedOrder, after: Place | null): Condition {
  if (after === null) return ALL;
  if (after.image === null) return { sql: `${key} < ?`, values: [after.key] };
  const { createdAtMs, id } = after.image;
  if (key === 'created_at') return { sql: '(created_at, id) < (?, ?)', values: [after.key, id] };
  return { sql: `(${key}, created_at, id) < (?, ?, ?)`, values: [after.key, createdAtMs, id] };
}

interface Scan {
  readonly condition: Condition;
  readonly backwards: boolean;
  readonly limit: number;
  /** The rows are known to be within the budget. */
  readonly known?: boolean;
}

interface ScanResult {
  /** Within a group newest first, whatever the direction. */
  readonly hits: readonly Hit[];
  /** There are no more than these. */
  readonly exhausted: boolean;
}

function scan(connection: Connection, request: StreamRequest, what: Scan): ScanResult | undefined {
  const { order, way, filter, budget } = request;
  const { limit } = what;
  const rows = rowsOf(order, way, what);
  // The inner select is a co-routine with its own limit: the scan stops at the budget, or earlier at the outer limit,
  // and its order is that of the result (both checked by the property test). CROSS JOIN fixes the order of the loops.
  // An ORDER BY on the outside, even one more select around it, would read and sort all of the budget.
  const hits = connection
    .all(
      `select p.id, i.version, p.${order.key}, p.created_at from (${rows.sql}) p ` +
        `cross join images i on i.id = p.id where ${way.hint.sql} and ${filter.sql} limit ?`,
      ...rows.values,
      budget,
      ...way.hint.values,
      ...filter.values,
      limit,
    )
    .map(hitOf);
  if (!what.backwards) hits.sort(compareHits);
  if (hits.length === limit) return { hits, exhausted: false };
  if (what.known === true) return { hits, exhausted: true };
  return holdsWithin(connection, request, what) ? { hits, exhausted: true } : undefined;
}

/** Tells whether the rows, looked at or not, are within the budget. */
function holdsWithin(
  connection: Connection,
  { order, way, budget }: StreamRequest,
  what: Pick<Scan, 'condition' | 'backwards'>,
): boolean {
  const rows = rowsOf(order, way, what);
  const limit = Math.min(budget, Number.MAX_SAFE_INTEGER - 1) + 1;
  const read = connection.get(`select count(*) from (${rows.sql})`, ...rows.values, limit);
  return read !== undefined && integerAt(read, 0) <= budget;
}

/** The rows of the way in the order of the table; its last parameter is the number of rows to read at most. */
function rowsOf(
  { key }: IndexedOrder,
  way: OrderedWay,
  { condition, backwards }: Pick<Scan, 'condition' | 'backwards'>,
): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const columns = key === 'created_at' ? ['created_at', 'id'] : [key, 'created_at', 'id'];
  const part = `select ${[...columns, ...way.columns].join(', ')} from listing_${key} where term = ? and ${condition.sql}`;
  const direction = backwards ? ' desc' : '';
  return {
    sql:
      `${way.terms.map(() => part).join(' union ')} ` +
      `order by ${columns.map((column) => column + direction).join(', ')} limit ?`,
    values: way.terms.flatMap((term) => [term, ...condition.values]),
  };
}

function isTime({ key }: IndexedOrder): boolean {
  return key === 'created_at' || key === 'updated_at';
}

function hitOf(row: Row): Hit {
  return {
    id: textAt(row, 0),
    version: integerAt(row, 1),
    key: sortValueAt(row, 2),
    createdAtMs: integerAt(row, 3),
  };
}

/** Ascending keys, each group newest first, then by id descending. */
function compareHits(a: Hit, b: Hit): number {
  return compareSortValues(a.key, b.key) || b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

function sortValueAt(row: Row, index: number): SortValue {
  const value = row[index];
  return typeof value === 'string' ? value : integerAt(row, index);
}
