/**
 * Finds one page of images. Several ways lead to the same page: by the streams of the caller's scope, by the stream of
 * one filter, by reading all that some index holds and sorting it, or group by group. Which is short depends on how
 * many images match, and no statistics are kept: each way is tried under a budget of rows, and the budgets grow until
 * one way gets to the end (docs/decisions/0011, 0014).
 */
import type { ImageQuery } from '../../domain/image-query.js';
import type { Image } from '../../domain/image.js';
import { type Connection, integerAt, type Row, textAt } from '../connection.js';
import { walkGroups } from './group-walk.js';
import { type ImageKind, imageKinds } from './image-kinds.js';
import { type Place, readStream } from './index-stream.js';
import type { Condition } from './list-filter.js';
import { fullOrder, type IndexedOrder, indexedOrder, orderSql, sortValueOf } from './list-order.js';
import { conditionOf, type Found, type Search, startOf } from './search.js';
import { directWay, isEmptyScope, orderedWays, scopeWays, type UnorderedWay, unorderedWays } from './ways.js';

export interface FindRequest {
  readonly query: ImageQuery;
  /** The image of `query.after`. */
  readonly marker: Image | null;
  /** See `filterOf`. */
  readonly exact: boolean;
  /** Rows that each way may read, in turn. */
  readonly budgets: readonly number[];
}

/**
 * Gives up before it has blocked its thread for some milliseconds. A caller who sees a tenth of the images finds a page
 * of 25 among 250 rows of a filter, give or take 50: the first budget must be well above (docs/decisions/0015).
 */
export const BOUNDED_BUDGETS: readonly number[] = [512, 1024];
/** Finds the page in any case. */
export const THOROUGH_BUDGETS: readonly number[] = [4096, 32_768, 262_144, Number.MAX_SAFE_INTEGER];

const ANYTHING: Condition = { sql: '1', values: [] };

/** The page in order, or undefined when the budgets did not suffice. */
export function findImages(connection: Connection, request: FindRequest): readonly Found[] | undefined {
  const { query, marker, exact, budgets } = request;
  if (query.limit === 0 || isEmptyScope(query)) return [];
  const order = fullOrder(query.sort);
  const after = marker === null ? null : { marker, keys: order };
  let kinds: { readonly all: readonly ImageKind[] | undefined } | undefined;
  const reader: Reader = {
    connection,
    kinds: () => {
      kinds ??= { all: imageKinds(connection) };
      return kinds.all;
    },
  };
  return find(reader, { query, exact, order, fixed: [], after, limit: query.limit }, budgets);
}

interface Reader {
  readonly connection: Connection;
  readonly kinds: () => readonly ImageKind[] | undefined;
}

function find(reader: Reader, search: Search, budgets: readonly number[]): readonly Found[] | undefined {
  const { connection } = reader;
  const order = indexedOrder(search.order, search.fixed);
  const direct = directWay(search.query);
  const ordered = order === undefined ? [] : orderedWays(search, order.key);
  const unordered = order === undefined ? [...unorderedWays(search), ...scopeWays(search)] : unorderedWays(search);
  for (const budget of budgets) {
    if (direct !== undefined && holdsAtMost(connection, direct, budget)) return readSorted(connection, search, direct);
    for (const way of ordered) {
      if (order === undefined) continue;
      const after = placeOf(search, order);
      const found = readStream(connection, {
        order,
        way,
        filter: conditionOf(search),
        after,
        limit: search.limit,
        budget,
      });
      if (found !== undefined) return found;
    }
    for (const way of unordered) {
      if (holdsAtMost(connection, way, budget)) return readSorted(connection, search, way);
    }
    if (order !== undefined) continue;
    // Without a bound a search must try its ways in turn again, or it stays in the first.
    const affordable = budget === Number.MAX_SAFE_INTEGER ? budgets : [budget];
    const found =
      search.order[0]?.field === 'id'
        ? readById(connection, search, budget)
        : walkGroups(search, { ...reader, find: (part) => find(reader, part, affordable) });
    if (found !== undefined) return found;
    if (budget === Number.MAX_SAFE_INTEGER) return readSorted(connection, search, undefined);
  }
  return undefined;
}

/** Where the page starts in the order of a table. */
function placeOf({ after }: Search, order: IndexedOrder): Place | null {
  if (after === null) return null;
  const { marker, keys } = after;
  const key = sortValueOf(marker, order.key);
  return { key, image: keys.length === 1 ? null : { createdAtMs: marker.createdAtMs, id: marker.id } };
}

/** The order of ids has an index of its own, of all images. */
function readById(connection: Connection, search: Search, budget: number): readonly Found[] | undefined {
  const { after, limit } = search;
  const ascending = search.order[0]?.ascending === true;
  const [beyond, direction] = ascending ? (['>', 'asc'] as const) : (['<', 'desc'] as const);
  const range = after === null ? ANYTHING : { sql: `id ${beyond} ?`, values: [after.marker.id] };
  const filter = conditionOf(search);
  const found = connection
    .all(
      `select i.id, i.version from (select id from images where ${range.sql} order by id ${direction} limit ?) p ` +
        `cross join images i on i.id = p.id where ${filter.sql} limit ?`,
      ...range.values,
      budget,
      ...filter.values,
      limit,
    )
    .map(foundOf);
  if (found.length === limit) return found;
  const all = { select: { sql: `select id from images where ${range.sql}`, values: range.values } };
  return holdsAtMost(connection, all, budget) ? found : undefined;
}

function holdsAtMost(connection: Connection, way: UnorderedWay, budget: number): boolean {
  const { sql, values } = way.select;
  const row = connection.get(
    `select count(*) from (select 1 from (${sql}) limit ?)`,
    ...values,
    Math.min(budget, Number.MAX_SAFE_INTEGER - 1) + 1,
  );
  return row !== undefined && integerAt(row, 0) <= budget;
}

/** All that matches of the way, or of all images, sorted by SQLite. */
function readSorted(connection: Connection, search: Search, way: UnorderedWay | undefined): readonly Found[] {
  const filter = conditionOf(search);
  const start = startOf(search);
  const select = way?.narrowed ?? way?.select;
  // Distinct, since an image may be in two streams of the scope; CROSS JOIN keeps the way the outer loop.
  const from =
    select === undefined
      ? 'images i'
      : `(select distinct id from (${select.sql})) w cross join images i on i.id = w.id`;
  return connection
    .all(
      `select i.id, i.version from ${from} where ${filter.sql} and ${start.sql} ` +
        `order by ${orderSql(search.order)} limit ?`,
      ...(select?.values ?? []),
      ...filter.values,
      ...start.values,
      search.limit,
    )
    .map(foundOf);
}

function foundOf(row: Row): Found {
  return { id: textAt(row, 0), version: integerAt(row, 1) };
}
