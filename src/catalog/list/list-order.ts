/** The order of a list, as data, as SQL and as a comparison of texts as SQLite makes it. */
import type { SortField, SortKey } from '../../domain/image-query.js';
import { dataOf, type Image } from '../../domain/image.js';
import type { ListingKey } from '../write/statements.js';

export type SortValue = string | number;

/** How a sort field is read from `images i`; null values sort as '' or 0 (Images API v2 §6.2). */
export const EXPRESSIONS: Record<SortField, string> = {
  name: "coalesce(i.name, '')",
  status: 'i.status',
  container_format: "coalesce(i.container_format, '')",
  disk_format: "coalesce(i.disk_format, '')",
  size: 'coalesce(i.size, 0)',
  id: 'i.id',
  created_at: 'i.created_at',
  updated_at: 'i.updated_at',
};

/** The sort keys with the tie-breakers created_at desc, id desc appended; nothing repeated, nothing after the id. */
export function fullOrder(sort: readonly SortKey[]): readonly SortKey[] {
  const order: SortKey[] = [];
  const tieBreakers: readonly SortKey[] = [
    { field: 'created_at', ascending: false },
    { field: 'id', ascending: false },
  ];
  for (const key of [...sort, ...tieBreakers]) {
    if (order.some((earlier) => earlier.field === key.field || earlier.field === 'id')) continue;
    order.push(key);
  }
  return order;
}

/** The order as an index table serves it: by one key in either direction, then created_at desc, id desc. */
export interface IndexedOrder {
  readonly key: ListingKey;
  readonly ascending: boolean;
}

/** The order as one of the index tables serves it, or undefined when none does; `fixed` fields are all alike. */
export function indexedOrder(
  order: readonly SortKey[],
  fixed: readonly { readonly field: SortField }[],
): IndexedOrder | undefined {
  const [first, ...rest] = order;
  if (first === undefined) return undefined;
  const key = listingKeyOf(first.field);
  const tail = (['created_at', 'id'] as const).filter(
    (field) => field !== key && fixed.every((one) => one.field !== field),
  );
  if (key === undefined || rest.length !== tail.length) return undefined;
  const native = rest.every((sortKey, index) => sortKey.field === tail[index] && !sortKey.ascending);
  return native ? { key, ascending: first.ascending } : undefined;
}

/** The index table whose key the field is. */
export function listingKeyOf(field: SortField): ListingKey | undefined {
  switch (field) {
    case 'created_at':
    case 'updated_at':
    case 'name':
    case 'size':
      return field;
    case 'status':
    case 'container_format':
    case 'disk_format':
    case 'id':
      return undefined;
  }
}

/** The image's value of the field. */
export function sortValueOf(image: Image, field: SortField): SortValue {
  switch (field) {
    case 'name':
      return image.name ?? '';
    case 'status':
      return image.status;
    case 'container_format':
      return image.containerFormat ?? '';
    case 'disk_format':
      return image.diskFormat ?? '';
    case 'size':
      return dataOf(image)?.sizeBytes ?? 0;
    case 'id':
      return image.id;
    case 'created_at':
      return image.createdAtMs;
    case 'updated_at':
      return image.updatedAtMs;
  }
}

/** The order as an ORDER BY over `images i`. */
export function orderSql(order: readonly SortKey[]): string {
  return order.map((key) => `${EXPRESSIONS[key.field]} ${key.ascending ? 'asc' : 'desc'}`).join(', ');
}

/** The condition that an image of `images i` comes after the marker, and its values. */
export function afterSql(
  order: readonly SortKey[],
  marker: Image,
): { readonly sql: string; readonly values: SortValue[] } {
  let sql = '0';
  let values: SortValue[] = [];
  for (const key of order.toReversed()) {
    const value = sortValueOf(marker, key.field);
    const expression = EXPRESSIONS[key.field];
    const comparison = `${expression} ${key.ascending ? '>' : '<'} ?`;
    sql = sql === '0' ? comparison : `(${comparison} or (${expression} = ? and ${sql}))`;
    values = values.length === 0 ? [value] : [value, value, ...values];
  }
  return { sql, values };
}

/** Compares as SQLite does: numbers, or texts by their UTF-8 bytes, which is the order of code points. */
export function compareSortValues(a: SortValue, b: SortValue): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
}
