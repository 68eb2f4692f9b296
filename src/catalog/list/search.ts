/** A search for one page, and the smaller searches that a walk over groups makes of it (docs/decisions/0014). */
import type { ImageQuery, SortField, SortKey } from '../../domain/image-query.js';
import type { Image } from '../../domain/image.js';
import { both, type Condition, filterOf } from './list-filter.js';
import { afterSql, EXPRESSIONS, type SortValue, sortValueOf } from './list-order.js';

export interface Found {
  readonly id: string;
  readonly version: number;
}

/** A sort field that has one value in the whole group that is searched. */
export interface Fixed {
  readonly field: SortField;
  readonly value: SortValue;
}

/** The page starts after all images that equal the marker in these keys: the search's order, or its first key alone. */
export interface After {
  readonly marker: Image;
  readonly keys: readonly SortKey[];
}

export interface Search {
  readonly query: ImageQuery;
  /** See `filterOf`. */
  readonly exact: boolean;
  /** Ends with the id, unless that is fixed; without the fixed fields. */
  readonly order: readonly SortKey[];
  /** Further filters. */
  readonly fixed: readonly Fixed[];
  readonly after: After | null;
  readonly limit: number;
}

const ANYTHING: Condition = { sql: '1', values: [] };

/** The condition on `images i` that an image is in the search, wherever it starts. */
export function conditionOf({ query, exact, fixed }: Search): Condition {
  return both([
    filterOf(query, exact),
    ...fixed.map(({ field, value }) => ({ sql: `${EXPRESSIONS[field]} = ?`, values: [value] })),
  ]);
}

/** The condition on `images i` that an image comes after the search's start. */
export function startOf({ after }: Search): Condition {
  return after === null ? ANYTHING : afterSql(after.keys, after.marker);
}

/** The search within the images that have `value` in the order's first key; the marker counts in its own group only. */
export function groupOf(search: Search, value: SortValue, limit: number): Search {
  const { after, fixed } = search;
  const [first, ...order] = search.order;
  if (first === undefined) return search;
  const inside = after !== null && sortValueOf(after.marker, first.field) === value;
  return {
    ...search,
    order,
    fixed: [...fixed, { field: first.field, value }],
    after: inside ? { marker: after.marker, keys: after.keys.slice(1) } : null,
    limit,
  };
}
