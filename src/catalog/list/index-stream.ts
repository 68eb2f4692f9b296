/**
 * One term's images in the order of an index table, read under a budget of index rows.
 *
 * Descending, the table read backwards is the order itself. Ascending, images with equal keys still come newest first,
 * which no scan in one direction gives; so: the rest of the marker's group backwards, then whole groups forwards, then
 * the last group, which the limit may have cut, again backwards.
 */
import { type Connection, integerAt, type Row, type SqlValue, textAt } from '../connection.js';
import type { Condition } from './list-filter.js';
import { compareSortValues, type IndexedOrder, type SortValue } from './list-order.js';

/** An image found, with its place in the order. */
export interface Hit {
  readonly id: string;
  /** 0 when the image was not read. */
  readonly version: number;
  readonly key: SortValue;
  readonly createdAtMs: number;
}

/** The place of the marker. */
export interface Place {
  readonly key: SortValue;
  readonly createdAtMs: number;
  readonly id: string;
}

export interface StreamRequest {
  readonly order: IndexedOrder;
  readonly term: number;
  /** What a row `p` of the index tells by itself. */
  readonly hint: Condition;
  /** On `images i`; null: the rows of the index are taken as they are, unread images and all. */
  readonly filter: Condition | null;
  readonly after: Place | null;
  readonly limit: number;
  /** Rows of the index to read at most, in each of the scans. */
  readonly budget: number;
}

/** The first `limit` images of the term, or undefined when the budget did not suffice. */
export function readStream(connection: Connection, request: StreamRequest): readonly Hit[] | undefined {
  const { order, after, limit } = request;
  const columns = order.key === 'created_at' ? ['created_at', 'id'] : [order.key, 'created_at', 'id'];
  const placeValues = (place: Place): SqlValue[] =>
    order.key === 'created_at' ? [place.key, place.id] : [place.key, place.createdAtMs, place.id];
  if (!order.ascending) {
    const condition =
      after === null ? all : { sql: `(${columns.join(', ')}) < (${marks(columns)})`, values: placeValues(after) };
    return scan(connection, request, { condition, columns, backwards: true, limit })?.hits;
  }
  const [key = '', ...rest] = columns;
  let hits: readonly Hit[] = [];
  if (after !== null) {
    const [keyValue = null, ...restValues] = placeValues(after);
    const condition = {
      sql: `${key} = ? and (${rest.join(', ')}) < (${marks(rest)})`,
      values: [keyValue, ...restValues],
    };
    const sameKey = scan(connection, request, { condition, columns, backwards: true, limit });
    if (sameKey === undefined) return undefined;
    hits = sameKey.hits;
    if (hits.length === limit) return hits;
  }
  const larger = after === null ? all : { sql: `${key} > ?`, values: [after.key] };
  const groups = scan(connection, request, {
    condition: larger,
    columns,
    backwards: false,
    limit: limit - hits.length,
  });
  if (groups === undefined) return undefined;
  const whole = groups.exhausted ? groups.hits : groups.hits.filter((hit) => hit.key !== groups.hits.at(-1)?.key);
  hits = [...hits, ...whole.toSorted((a, b) => compareHits(order, a, b))];
  const cut = groups.exhausted ? undefined : groups.hits.at(-1);
  if (cut === undefined) return hits;
  const condition = { sql: `${key} = ?`, values: [cut.key] };
  const last = scan(connection, request, { condition, columns, backwards: true, limit: limit - hits.length });
  return last === undefined ? undefined : [...hits, ...last.hits];
}

/** The order of hits: by key, then newest first, then by id descending. */
export function compareHits(order: IndexedOrder, a: Hit, b: Hit): number {
  const byKey = compareSortValues(a.key, b.key);
  if (byKey !== 0) return order.ascending ? byKey : -byKey;
  return b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

const all: Condition = { sql: '1', values: [] };

interface Scan {
  readonly condition: Condition;
  readonly columns: readonly string[];
  readonly backwards: boolean;
  readonly limit: number;
}

interface ScanResult {
  readonly hits: readonly Hit[];
  /** There are no more than these. */
  readonly exhausted: boolean;
}

function scan(connection: Connection, request: StreamRequest, what: Scan): ScanResult | undefined {
  const { order, term, hint, filter, budget } = request;
  const { condition, columns, backwards, limit } = what;
  const range = `from listing_${order.key} where term = ? and ${condition.sql}`;
  const direction = backwards ? ' desc' : '';
  // The inner select is a co-routine with its own limit: the scan stops at the budget, or earlier at the outer limit,
  // and its order is that of the result (both checked by the property test). CROSS JOIN fixes the order of the loops.
  const scanned =
    `select term, ${columns.join(', ')}, visibility, owner ${range} ` +
    `order by ${columns.map((column) => column + direction).join(', ')} limit ?`;
  const rows =
    filter === null
      ? connection.all(
          `select id, 0, ${order.key}, created_at from (${scanned})`,
          term,
          ...condition.values,
          Math.min(budget, limit),
        )
      : connection.all(
          `select p.id, i.version, p.${order.key}, p.created_at from (${scanned}) p ` +
            `cross join images i on i.id = p.id where ${hint.sql} and ${filter.sql} limit ?`,
          term,
          ...condition.values,
          budget,
          ...hint.values,
          ...filter.values,
          limit,
        );
  const hits = rows.map(hitOf);
  if (hits.length === limit) return { hits, exhausted: false };
  const read = connection.get(
    `select count(*) from (select 1 ${range} limit ?)`,
    term,
    ...condition.values,
    budget + 1,
  );
  return read !== undefined && integerAt(read, 0) > budget ? undefined : { hits, exhausted: true };
}

function hitOf(row: Row): Hit {
  const key = row[2];
  return {
    id: textAt(row, 0),
    version: integerAt(row, 1),
    key: typeof key === 'string' ? key : integerAt(row, 2),
    createdAtMs: integerAt(row, 3),
  };
}

function marks(columns: readonly string[]): string {
  return columns.map(() => '?').join(', ');
}
