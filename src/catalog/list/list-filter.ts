/** The conditions of a list as SQL over `images i`, and those that a row of the index can answer by itself. */
import type { ImageQuery, IntegerRange, ListScope, TimeMatch } from '../../domain/image-query.js';
import type { Visibility } from '../../domain/image.js';
import type { SqlValue } from '../connection.js';
import { type Fact, ownerHash, termOf, UNLISTED_STATUSES, visibilityNumber } from '../terms.js';

export interface Condition {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/**
 * All that the query asks for. `exact`: tags and properties by their text; else by their terms, which may collide, so
 * that the images must be looked at again.
 */
export function filterOf(query: ImageQuery, exact: boolean): Condition {
  return both([
    scopeOf(query.scope),
    { sql: 'i.os_hidden = ?', values: [query.osHidden ? 1 : 0] },
    { sql: `i.status not in (${UNLISTED_STATUSES.map((status) => `'${status}'`).join(', ')})`, values: [] },
    ...equals('i.protected', query.protected === null ? null : query.protected ? 1 : 0),
    ...equals('i.owner', query.owner),
    ...oneOf('i.id', query.ids),
    ...oneOf('i.name', query.names),
    ...oneOf('i.status', query.statuses),
    ...oneOf('i.disk_format', query.diskFormats),
    ...oneOf('i.container_format', query.containerFormats),
    ...equals('i.checksum', query.checksum),
    ...equals('i.os_hash_value', query.osHashValue),
    ...query.integers.flatMap(rangeOf),
    ...query.times.map((match) => timeOf(match)),
    ...(exact ? exactFacts(query) : postedFacts(query)),
  ]);
}

/** A cheap first look at a row `p` of the index: false only for images that are out of scope or of another owner. */
export function hintOf(query: ImageQuery): Condition {
  const { anyOwner, own, member } = query.scope;
  const branches: Condition[] = [];
  if (anyOwner.length > 0) branches.push(numbersIn('p.visibility', anyOwner));
  if (own !== null && own.visibilities.length > 0) {
    branches.push(
      both([{ sql: 'p.owner = ?', values: [ownerHash(own.projectId)] }, numbersIn('p.visibility', own.visibilities)]),
    );
  }
  // Only a shared image is looked up among the members: that costs ten times what the row itself does.
  if (member !== null && member.statuses.length > 0)
    branches.push(both([numbersIn('p.visibility', ['shared']), memberOf(member, 'p.id')]));
  const scope = either(branches);
  return query.owner === null ? scope : both([scope, { sql: 'p.owner = ?', values: [ownerHash(query.owner)] }]);
}

function scopeOf(scope: ListScope): Condition {
  const { anyOwner, own, member } = scope;
  const branches: Condition[] = [];
  if (anyOwner.length > 0) branches.push(inList('i.visibility', anyOwner));
  if (own !== null && own.visibilities.length > 0) {
    branches.push(both([{ sql: 'i.owner = ?', values: [own.projectId] }, inList('i.visibility', own.visibilities)]));
  }
  if (member !== null && member.statuses.length > 0) {
    branches.push(both([{ sql: "i.visibility = 'shared'", values: [] }, memberOf(member, 'i.id')]));
  }
  return either(branches);
}

function memberOf(member: NonNullable<ListScope['member']>, id: string): Condition {
  const statuses = inList('m.status', member.statuses);
  return {
    sql: `exists (select 1 from image_members m where m.image_id = ${id} and m.member_id = ? and ${statuses.sql})`,
    values: [member.projectId, ...statuses.values],
  };
}

function postedFacts(query: ImageQuery): readonly Condition[] {
  return [...tagFacts(query), ...propertyFacts(query)].map((fact) => ({
    sql: 'exists (select 1 from listing_created_at t where t.term = ? and t.created_at = i.created_at and t.id = i.id)',
    values: [termOf(fact, query.osHidden)],
  }));
}

function exactFacts(query: ImageQuery): readonly Condition[] {
  return [
    ...query.tags.map((tag) => ({
      sql: 'exists (select 1 from json_each(i.tags) j where j.value = ?)',
      values: [tag],
    })),
    ...query.properties.map(({ name, value }) => ({
      sql: "exists (select 1 from json_each(i.properties) j where j.value ->> '$[0]' = ? and j.value ->> '$[1]' = ?)",
      values: [name, value],
    })),
  ];
}

/** The query's tags as facts. */
export function tagFacts(query: ImageQuery): readonly Fact[] {
  return query.tags.map((tag) => ({ kind: 'tag', tag }));
}

/** The query's properties as facts. */
export function propertyFacts(query: ImageQuery): readonly Fact[] {
  return query.properties.map(({ name, value }) => ({ kind: 'property', name, value }));
}

/** The range on `images i`. */
export function rangeOf(range: IntegerRange): readonly Condition[] {
  const column = `i.${range.field}`;
  return [
    ...(range.min === null ? [] : [{ sql: `${column} >= ?`, values: [range.min] }]),
    ...(range.max === null ? [] : [{ sql: `${column} <= ?`, values: [range.max] }]),
  ];
}

/** Times have no fraction on the API, so a second stands for all its milliseconds. */
export function timeOf(match: TimeMatch, table = 'i'): Condition {
  const column = `${table}.${match.field}`;
  const from = match.seconds * 1000;
  const to = from + 1000;
  switch (match.operator) {
    case 'eq':
      return { sql: `${column} >= ? and ${column} < ?`, values: [from, to] };
    case 'neq':
      return { sql: `(${column} < ? or ${column} >= ?)`, values: [from, to] };
    case 'gt':
      return { sql: `${column} >= ?`, values: [to] };
    case 'gte':
      return { sql: `${column} >= ?`, values: [from] };
    case 'lt':
      return { sql: `${column} < ?`, values: [from] };
    case 'lte':
      return { sql: `${column} < ?`, values: [to] };
  }
}

function equals(column: string, value: SqlValue): readonly Condition[] {
  return value === null ? [] : [{ sql: `${column} = ?`, values: [value] }];
}

function oneOf(column: string, values: readonly string[]): readonly Condition[] {
  return values.length === 0 ? [] : [inList(column, values)];
}

/** One shape of statement for long lists, whatever their length; SQLite's limit on parameters does not apply. */
function inList(column: string, values: readonly string[]): Condition {
  if (values.length === 1) return { sql: `${column} = ?`, values };
  // A few, such as visibilities, are quicker as they are.
  if (values.length <= 4) return { sql: `${column} in (${values.map(() => '?').join(', ')})`, values };
  return { sql: `${column} in (select value from json_each(?))`, values: [JSON.stringify(values)] };
}

function numbersIn(column: string, visibilities: readonly Visibility[]): Condition {
  return { sql: `${column} in (${visibilities.map(visibilityNumber).join(', ')})`, values: [] };
}

/** All of the conditions. */
export function both(conditions: readonly Condition[]): Condition {
  return joined(conditions, ' and ', '1');
}

function either(conditions: readonly Condition[]): Condition {
  return joined(conditions, ' or ', '0');
}

function joined(conditions: readonly Condition[], word: string, empty: string): Condition {
  if (conditions.length === 0) return { sql: empty, values: [] };
  return {
    sql: `(${conditions.map((condition) => condition.sql).join(word)})`,
    values: conditions.flatMap((condition) => condition.values),
  };
}
