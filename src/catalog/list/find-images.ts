/**
 * Finds one page of images. Several ways lead to the same page: by the streams of the caller's scope, or by the
 * stream of one filter. Which is short depends on how many images match, and no statistics are kept: each way is tried
 * under a budget of index rows, and the budgets grow until one way gets to the end (docs/decisions/0011).
 */
import type { ImageQuery } from '../../domain/image-query.js';
import type { Image } from '../../domain/image.js';
import { type Connection, integerAt, type SqlValue, textAt } from '../connection.js';
import { type Fact, termOf } from '../terms.js';
import { compareHits, type Hit, readStream } from './index-stream.js';
import { type Condition, filterOf, hintOf, propertyFacts, tagFacts } from './list-filter.js';
import { afterSql, fullOrder, type IndexedOrder, indexedOrder, orderSql, sortValueOf } from './list-order.js';

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
  /** `bounded` gives up, with undefined, before it has blocked its thread for some milliseconds. */
  readonly effort: 'bounded' | 'thorough';
}

const BOUNDED_BUDGETS = [256, 1024];
const THOROUGH_BUDGETS = [4096, 32_768, 262_144, Number.MAX_SAFE_INTEGER];
/** Direct drivers with more rows than this are left to the reader thread. */
const BOUNDED_ROWS = 500;

/** The page in order, or undefined when the effort did not suffice. */
export function findImages(connection: Connection, request: FindRequest): readonly Found[] | undefined {
  const { query, effort } = request;
  if (query.limit === 0) return [];
  const direct = directDriver(query);
  if (direct !== undefined) {
    if (effort === 'bounded' && isLarge(connection, direct)) return undefined;
    return readDirectly(connection, request);
  }
  const order = indexedOrder(fullOrder(query.sort));
  if (order === undefined) return effort === 'bounded' ? undefined : readDirectly(connection, request);
  const ways = waysOf(query, order);
  for (const budget of effort === 'bounded' ? BOUNDED_BUDGETS : THOROUGH_BUDGETS) {
    for (const way of ways) {
      const found = readWay(connection, request, { order, way, budget });
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** A way to the page: terms whose images together hold it. */
interface Way {
  readonly terms: readonly number[];
  /** Whether the rows of its terms carry the hints for scope and owner. */
  readonly hinted: boolean;
}

function waysOf(query: ImageQuery, order: IndexedOrder): readonly Way[] {
  const way = (facts: readonly Fact[], hinted: boolean): Way => ({
    terms: [...new Set(facts.map((fact) => termOf(fact, query.osHidden)))],
    hinted,
  });
  const ways: Way[] = [];
  if (query.names.length > 0)
    ways.push(
      way(
        query.names.map((name) => ({ kind: 'name', name })),
        true,
      ),
    );
  for (const fact of [...tagFacts(query), ...propertyFacts(query)]) ways.push(way([fact], true));
  if (query.statuses.length > 0)
    ways.push(
      way(
        query.statuses.map((status) => ({ kind: 'status', status })),
        true,
      ),
    );
  if (order.key === 'created_at' && query.diskFormats.length > 0) {
    ways.push(
      way(
        query.diskFormats.map((format) => ({ kind: 'disk-format', format })),
        true,
      ),
    );
  }
  if (order.key === 'created_at' && query.containerFormats.length > 0) {
    ways.push(
      way(
        query.containerFormats.map((format) => ({ kind: 'container-format', format })),
        true,
      ),
    );
  }
  ways.push(way(scopeFacts(query), false));
  return ways;
}

/** Facts of which every image in scope has one. */
function scopeFacts(query: ImageQuery): readonly Fact[] {
  const { anyOwner, own, member } = query.scope;
  const { owner } = query;
  const facts: Fact[] = anyOwner.map((visibility) =>
    owner === null ? { kind: 'visibility', visibility } : { kind: 'owner', owner, visibility },
  );
  if (own !== null && (owner === null || owner === own.projectId)) {
    for (const visibility of own.visibilities) {
      const covered = anyOwner.includes(visibility);
      if (!covered) facts.push({ kind: 'owner', owner: own.projectId, visibility });
    }
  }
  if (member !== null && !anyOwner.includes('shared')) {
    for (const status of member.statuses) facts.push({ kind: 'member', projectId: member.projectId, status });
  }
  return facts;
}

function readWay(
  connection: Connection,
  request: FindRequest,
  how: { readonly order: IndexedOrder; readonly way: Way; readonly budget: number },
): readonly Found[] | undefined {
  const { query, marker } = request;
  const { order, way, budget } = how;
  const hint: Condition = way.hinted ? hintOf(query) : { sql: '1', values: [] };
  const filter = filterOf(query, request.exact);
  const after =
    marker === null ? null : { key: sortValueOf(marker, order.key), createdAtMs: marker.createdAtMs, id: marker.id };
  const hits = new Map<string, Hit>();
  for (const term of way.terms) {
    const stream = readStream(connection, { order, term, hint, filter, after, limit: query.limit, budget });
    if (stream === undefined) return undefined;
    for (const hit of stream) hits.set(hit.id, hit);
  }
  const page = [...hits.values()];
  if (way.terms.length > 1) page.sort((a, b) => compareHits(order, a, b));
  return page.slice(0, query.limit);
}

/** A filter that an index of `images` serves and that seldom matches more than a few. */
function directDriver(query: ImageQuery): Condition | undefined {
  if (query.ids.length > 0) {
    return { sql: 'i.id in (select value from json_each(?))', values: [JSON.stringify(query.ids)] };
  }
  if (query.osHashValue !== null) return { sql: 'i.os_hash_value = ?', values: [query.osHashValue] };
  if (query.checksum !== null) return { sql: 'i.checksum = ?', values: [query.checksum] };
  return undefined;
}

function isLarge(connection: Connection, driver: Condition): boolean {
  const row = connection.get(
    `select count(*) from (select 1 from images i where ${driver.sql} limit ?)`,
    ...driver.values,
    BOUNDED_ROWS + 1,
  );
  return row !== undefined && integerAt(row, 0) > BOUNDED_ROWS;
}

/** Everything that matches, sorted by SQLite. */
function readDirectly(connection: Connection, request: FindRequest): readonly Found[] {
  const { query, marker } = request;
  const order = fullOrder(query.sort);
  const filter = filterOf(query, request.exact);
  const after: { readonly sql: string; readonly values: readonly SqlValue[] } =
    marker === null ? { sql: '1', values: [] } : afterSql(order, marker);
  return connection
    .all(
      `select i.id, i.version from images i where ${filter.sql} and ${after.sql} order by ${orderSql(order)} limit ?`,
      ...filter.values,
      ...after.values,
      query.limit,
    )
    .map((row) => ({ id: textAt(row, 0), version: integerAt(row, 1) }));
}
