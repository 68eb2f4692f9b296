/**
 * Finds one page of images. Several ways lead to the same page: by the streams of the caller's scope, by the stream of
 * one filter, or by reading all that some index holds and sorting it. Which is short depends on how many images match,
 * and no statistics are kept: each way is tried under a budget of rows, and the budgets grow until one way gets to the
 * end (docs/decisions/0011).
 */
import type { ImageQuery } from '../../domain/image-query.js';
import type { Image } from '../../domain/image.js';
import { type Connection, integerAt, textAt } from '../connection.js';
import { compareHits, type Hit, readStream } from './index-stream.js';
import { type Condition, filterOf, hintOf } from './list-filter.js';
import { afterSql, fullOrder, type IndexedOrder, indexedOrder, orderSql, sortValueOf } from './list-order.js';
import { directWay, isEmptyScope, type OrderedWay, orderedWays, type UnorderedWay, unorderedWays } from './ways.js';

export interface Found {
  readonly id: string;
  readonly version: number;
}

export interface FindRequest {
  readonly query: ImageQuery;
  /** The image of `query.after`. */
  readonly marker: Image | null;
  /** See `filterOf`. */
  readonly exact: boolean;
  /** Rows that each way may read, in turn. */
  readonly budgets: readonly number[];
}

/** Gives up before it has blocked its thread for some milliseconds. */
export const BOUNDED_BUDGETS: readonly number[] = [256, 1024];
/** Finds the page in any case. */
export const THOROUGH_BUDGETS: readonly number[] = [4096, 32_768, 262_144, Number.MAX_SAFE_INTEGER];

const ANYTHING: Condition = { sql: '1', values: [] };

/** The page in order, or undefined when the budgets did not suffice. */
export function findImages(connection: Connection, request: FindRequest): readonly Found[] | undefined {
  const { query, budgets } = request;
  if (query.limit === 0 || isEmptyScope(query)) return [];
  const direct = directWay(query);
  const order = direct === undefined ? indexedOrder(fullOrder(query.sort)) : undefined;
  const ordered = order === undefined ? [] : orderedWays(query, order.key);
  const unordered = direct === undefined ? unorderedWays(query) : [direct];
  if (order !== undefined && ordered.length === 1 && unordered.length === 0 && ordered[0] !== undefined) {
    const found = readUnfiltered(connection, request, { order, way: ordered[0] });
    if (found !== undefined) return found;
  }
  for (const budget of budgets) {
    for (const way of ordered) {
      const found = order === undefined ? undefined : readOrdered(connection, request, { order, way, budget });
      if (found !== undefined) return found;
    }
    for (const way of unordered) {
      if (holdsAtMost(connection, way, budget)) return readSorted(connection, request, way);
    }
    if (budget === Number.MAX_SAFE_INTEGER) return readSorted(connection, request, undefined);
  }
  return undefined;
}

/**
 * The page of a list that has no filter but scope and owner: every row of the index is a match, all but always. So the
 * streams are merged by the index alone, and the images of one page are read instead of one page a stream.
 */
function readUnfiltered(
  connection: Connection,
  request: FindRequest,
  how: { readonly order: IndexedOrder; readonly way: OrderedWay },
): readonly Found[] | undefined {
  const { query } = request;
  const merged = merge(connection, request, { ...how, budget: query.limit, hint: ANYTHING, filter: null });
  if (merged === undefined) return undefined;
  const filter = filterOf(query, request.exact);
  const found = connection
    .all(
      `select i.id, i.version from json_each(?) j cross join images i on i.id = j.value where ${filter.sql}`,
      JSON.stringify(merged.map((hit) => hit.id)),
      ...filter.values,
    )
    .map((row) => ({ id: textAt(row, 0), version: integerAt(row, 1) }));
  // One that does not match leaves a gap that only the filtered streams can fill, unless this was all there is.
  return found.length === merged.length || merged.length < query.limit ? found : undefined;
}

function readOrdered(
  connection: Connection,
  request: FindRequest,
  how: { readonly order: IndexedOrder; readonly way: OrderedWay; readonly budget: number },
): readonly Found[] | undefined {
  const hint = how.way.hinted ? hintOf(request.query) : ANYTHING;
  return merge(connection, request, { ...how, hint, filter: filterOf(request.query, request.exact) });
}

interface Merge {
  readonly order: IndexedOrder;
  readonly way: OrderedWay;
  readonly budget: number;
  readonly hint: Condition;
  readonly filter: Condition | null;
}

function merge(connection: Connection, request: FindRequest, what: Merge): readonly Hit[] | undefined {
  const { query, marker } = request;
  const { order, way } = what;
  const after =
    marker === null ? null : { key: sortValueOf(marker, order.key), createdAtMs: marker.createdAtMs, id: marker.id };
  const hits = new Map<string, Hit>();
  for (const term of way.terms) {
    const stream = readStream(connection, { ...what, term, after, limit: query.limit });
    if (stream === undefined) return undefined;
    for (const hit of stream) hits.set(hit.id, hit);
  }
  const page = [...hits.values()];
  if (way.terms.length > 1) page.sort((a, b) => compareHits(order, a, b));
  return page.slice(0, query.limit);
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
function readSorted(connection: Connection, request: FindRequest, way: UnorderedWay | undefined): readonly Found[] {
  const { query, marker } = request;
  const order = fullOrder(query.sort);
  const filter = filterOf(query, request.exact);
  const after = marker === null ? ANYTHING : afterSql(order, marker);
  // Distinct, since an image may be in two streams of the scope; CROSS JOIN keeps the way the outer loop.
  const from =
    way === undefined
      ? 'images i'
      : `(select distinct id from (${way.select.sql})) w cross join images i on i.id = w.id`;
  return connection
    .all(
      `select i.id, i.version from ${from} where ${filter.sql} and ${after.sql} order by ${orderSql(order)} limit ?`,
      ...(way?.select.values ?? []),
      ...filter.values,
      ...after.values,
      query.limit,
    )
    .map((row) => ({ id: textAt(row, 0), version: integerAt(row, 1) }));
}
