/**
 * The page of an order that no index table has, found group by group: in a group of images with the same first key the
 * rest of the keys is the order, and the first key is one more filter. So each group is a search of its own.
 */
import type { SortField, SortKey } from '../../domain/image-query.js';
import { type Connection, integerAt, textAt } from '../connection.js';
import { type ImageKind, isKindField, type KindField } from './image-kinds.js';
import { compareSortValues, EXPRESSIONS, fullOrder, listingKeyOf, orderSql, sortValueOf } from './list-order.js';
import { type Found, groupOf, type Search } from './search.js';

export interface Walk {
  readonly connection: Connection;
  /** Undefined when there are too many. */
  readonly kinds: () => readonly ImageKind[] | undefined;
  /** Undefined when the search ran out of its budgets. */
  readonly find: (search: Search) => readonly Found[] | undefined;
}

/** The page, or undefined when the order has no groups or a search in one of them ran out of its budgets. */
export function walkGroups(search: Search, walk: Walk): readonly Found[] | undefined {
  const [first] = search.order;
  if (first === undefined) return undefined;
  if (isKindField(first.field)) return walkKinds(search, { field: first.field, ascending: first.ascending }, walk);
  return listingKeyOf(first.field) === undefined ? undefined : walkKeys(search, first, walk);
}

/** The first key has few values, all known: one group after the other. */
function walkKinds(
  search: Search,
  first: { readonly field: KindField; readonly ascending: boolean },
  walk: Walk,
): readonly Found[] | undefined {
  const kinds = walk.kinds();
  if (kinds === undefined) return undefined;
  const page: Found[] = [];
  for (const value of groupValues(search, first, kinds)) {
    const found = walk.find(groupOf(search, value, search.limit - page.length));
    if (found === undefined) return undefined;
    page.push(...found);
    if (page.length === search.limit) break;
  }
  return page;
}

/** The values in the order's direction, from the marker's on; those that no image of the search can have are left out. */
function groupValues(
  { query, fixed, after }: Search,
  { field, ascending }: { readonly field: KindField; readonly ascending: boolean },
  kinds: readonly ImageKind[],
): readonly string[] {
  const wanted: Record<KindField, readonly string[]> = {
    status: query.statuses,
    disk_format: query.diskFormats,
    container_format: query.containerFormats,
  };
  const possible = kinds
    .filter((kind) => fixed.every((one) => !isKindField(one.field) || kind[one.field] === one.value))
    .map((kind) => kind[field])
    .filter((value) => wanted[field].length === 0 || wanted[field].includes(value));
  const sign = ascending ? 1 : -1;
  const compare = (a: string, b: string): number => sign * compareSortValues(a, b);
  const values = [...new Set(possible)].toSorted(compare);
  if (after === null) return values;
  const start = String(sortValueOf(after.marker, field));
  return values.filter((value) => compare(value, start) > (after.keys.length === 1 ? 0 : -1));
}

/**
 * The first key has an index table: the page by that key alone holds every group of the wanted page whole, but the
 * marker's, which comes before, and the last, which the limit may have cut.
 */
function walkKeys(search: Search, first: SortKey, walk: Walk): readonly Found[] | undefined {
  const { after, limit } = search;
  let page: readonly Found[] = [];
  if (after !== null && after.keys.length > 1) {
    const found = walk.find(groupOf(search, sortValueOf(after.marker, first.field), limit));
    if (found === undefined || found.length === limit) return found;
    page = found;
  }
  const wanted = limit - page.length;
  const byFirst = walk.find({
    ...search,
    order: fullOrder([first]).filter((key) => search.fixed.every((one) => one.field !== key.field)),
    after: after === null ? null : { marker: after.marker, keys: [first] },
    limit: wanted,
  });
  if (byFirst === undefined) return undefined;
  const sorted = sortedImages(walk.connection, byFirst, search.order, first.field);
  const last = sorted.at(-1);
  if (last === undefined || byFirst.length < wanted) return [...page, ...sorted];
  const whole = sorted.filter((image) => image.key !== last.key);
  const rest = walk.find({ ...groupOf(search, last.key, wanted - whole.length), after: null });
  return rest === undefined ? undefined : [...page, ...whole, ...rest];
}

function sortedImages(
  connection: Connection,
  images: readonly Found[],
  order: readonly SortKey[],
  field: SortField,
): readonly (Found & { readonly key: string | number })[] {
  return connection
    .all(
      `select i.id, i.version, ${EXPRESSIONS[field]} from json_each(?) j cross join images i on i.id = j.value ` +
        `order by ${orderSql(order)}`,
      JSON.stringify(images.map((image) => image.id)),
    )
    .map((row) => ({
      id: textAt(row, 0),
      version: integerAt(row, 1),
      key: typeof row[2] === 'string' ? row[2] : integerAt(row, 2),
    }));
}
