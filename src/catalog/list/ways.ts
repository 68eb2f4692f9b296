/** The ways by which a page can be found; all lead to the same page, and differ in how many rows they read. */
import type { ImageQuery } from '../../domain/image-query.js';
import { type Fact, termOf } from '../terms.js';
import type { Fixed, Search } from './search.js';
import { both, type Condition, hintOf, propertyFacts, rangeOf, tagFacts, timeOf } from './list-filter.js';
import { listingKeyOf } from './list-order.js';
import type { ListingKey } from '../write/statements.js';

/** Terms whose images together hold the page, read in the order of the list. */
export interface OrderedWay {
  readonly terms: readonly number[];
  /** Columns of a row that the hint reads besides the order's. All terms must have them alike for an image. */
  readonly columns: readonly ('visibility' | 'owner')[];
  /** What a row `p` of its terms tells by itself: false only for images that are not in the search. */
  readonly hint: Condition;
}

/** A select of the ids of some images, in no order, that holds the page: all are read and sorted. */
export interface UnorderedWay {
  readonly select: Condition;
  /** The same without some images that are not in the search; reads no fewer rows of the index. */
  readonly narrowed?: Condition;
}

const ANYTHING: Condition = { sql: '1', values: [] };

/** What is asked for, wherever the page starts. */
type Asked = Pick<Search, 'query' | 'fixed'>;

/** Terms that SQLite merges at most; more (a list of many names) leave it to the scope's and to unordered ways. */
const MERGED_TERMS = 64;

/** The ways in the order of a table of the index; `key` says which. */
export function orderedWays(asked: Asked, key: ListingKey): readonly OrderedWay[] {
  const { query } = asked;
  const filters = factsOfFilters(asked, key).map((facts): OrderedWay => {
    const terms = termsOf(facts, query);
    return { terms, columns: ['visibility', 'owner'], hint: hintFor(asked, terms) };
  });
  // No columns: members' rows are without them.
  const scopes = scopeFacts(query).map((facts): OrderedWay => {
    const terms = termsOf(facts, query);
    return { terms, columns: [], hint: both([groupHint(asked, terms), meetingHint(asked, terms)]) };
  });
  return [...filters.filter(({ terms }) => terms.length <= MERGED_TERMS), ...scopes];
}

/** The ways through an index that has not the order of the list. */
export function unorderedWays(asked: Asked): readonly UnorderedWay[] {
  const { query } = asked;
  return [
    ...imageIndexes(query),
    ...groups(asked),
    ...ranges(query),
    ...factsOfFilters(asked, 'created_at').map((facts) => ({
      ...postsOf(facts, query),
      narrowed: selectIds('created_at', termsOf(facts, query), hintFor(asked, termsOf(facts, query))).select,
    })),
  ];
}

/** All of the scope: the way of an order without a table when the caller sees few images. */
export function scopeWays({ query }: Asked): readonly UnorderedWay[] {
  return scopeFacts(query).map((facts) => postsOf(facts, query));
}

/** A filter that seldom matches more than a few images, whatever the order: tried before all else. */
export function directWay(query: ImageQuery): UnorderedWay | undefined {
  if (query.ids.length > 0) {
    return {
      select: { sql: 'select value as id from json_each(?)', values: [JSON.stringify([...new Set(query.ids)])] },
    };
  }
  if (query.osHashValue !== null) return fromImages({ sql: 'i.os_hash_value = ?', values: [query.osHashValue] });
  if (query.checksum !== null) return fromImages({ sql: 'i.checksum = ?', values: [query.checksum] });
  return undefined;
}

/** Tells whether no image can be in scope. */
export function isEmptyScope(query: ImageQuery): boolean {
  return scopeFacts(query).some((facts) => facts.length === 0);
}

function imageIndexes(query: ImageQuery): readonly UnorderedWay[] {
  const ways: UnorderedWay[] = [];
  for (const range of query.integers) {
    if (range.field !== 'size' && (range.min !== null || range.max !== null))
      ways.push(fromImages(both(rangeOf(range))));
  }
  return ways;
}

/** Ranges of a sort key, within each term of the scope. */
function ranges(query: ImageQuery): readonly UnorderedWay[] {
  const conditions: { readonly key: ListingKey; readonly condition: Condition }[] = [];
  const bounds = query.times.filter((match) => match.operator !== 'neq');
  for (const key of ['created_at', 'updated_at'] as const) {
    const matches = bounds.filter((match) => match.field === key);
    if (matches.length > 0) conditions.push({ key, condition: both(matches.map((match) => timeOf(match, 'p'))) });
  }
  for (const { field, min, max } of query.integers) {
    if (field !== 'size' || (min === null && max === null)) continue;
    const condition = { sql: 'p.size between ? and ?', values: [min ?? 0, max ?? Number.MAX_SAFE_INTEGER] };
    conditions.push({ key: 'size', condition });
  }
  return conditions.flatMap(({ key, condition }) =>
    scopeFacts(query).map((facts) => selectIds(key, termsOf(facts, query), condition)),
  );
}

/** The group of a fixed sort key, within each term of the filters and of the scope. */
function groups(asked: Asked): readonly UnorderedWay[] {
  const { query, fixed } = asked;
  return fixed.flatMap(({ field, value }) => {
    const key = listingKeyOf(field);
    if (key === undefined) return [];
    const condition = { sql: `p.${key} = ?`, values: [value] };
    return [...factsOfFilters(asked, key), ...scopeFacts(query)].map((facts) =>
      selectIds(key, termsOf(facts, query), condition),
    );
  });
}

function postsOf(facts: readonly Fact[], query: ImageQuery): UnorderedWay {
  return selectIds('created_at', termsOf(facts, query), ANYTHING);
}

function selectIds(key: ListingKey, terms: readonly number[], condition: Condition): UnorderedWay {
  const which = termIn('p', terms);
  return {
    select: {
      sql: `select p.id as id from listing_${key} p where ${which.sql} and ${condition.sql}`,
      values: [...which.values, ...condition.values],
    },
  };
}

function termIn(table: string, terms: readonly number[]): Condition {
  const [only] = terms;
  if (terms.length === 1 && only !== undefined) return { sql: `${table}.term = ?`, values: [only] };
  return { sql: `${table}.term in (select value from json_each(?))`, values: [JSON.stringify(terms)] };
}

function fromImages(condition: Condition): UnorderedWay {
  return { select: { sql: `select i.id as id from images i where ${condition.sql}`, values: condition.values } };
}

/** The hint for rows of terms that are in all tables: the same row in the table of a fixed key that has no term. */
function groupHint({ fixed }: Asked, terms: readonly number[]): Condition {
  return both(
    fixed.flatMap((one) => {
      const { field, value } = one;
      const key = listingKeyOf(field);
      if (key === undefined || factsOfFixed(one, key).length > 0) return [];
      const which = termIn('t', terms);
      const same = 't.created_at = p.created_at and t.id = p.id';
      return [
        {
          sql: `exists (select 1 from listing_${key} t where ${which.sql} and t.${key} = ? and ${same})`,
          values: [...which.values, value],
        },
      ];
    }),
  );
}

/** The hint for rows of a filter's terms: scope and owner, and whether the image meets the other filters. */
function hintFor(asked: Asked, terms: readonly number[]): Condition {
  return both([hintOf(asked.query), meetingHint(asked, terms)]);
}

/** Whether the image has a term of each filter but that of `terms`: an index tells in a third of the image's time. */
function meetingHint(asked: Asked, terms: readonly number[]): Condition {
  const others = factsOfFilters(asked, 'created_at')
    .map((facts) => termsOf(facts, asked.query))
    .filter((other) => other.some((term) => !terms.includes(term)));
  return both(
    others.map((other) => {
      const which = termIn('t', other);
      return {
        sql: `exists (select 1 from listing_created_at t where ${which.sql} and t.created_at = p.created_at and t.id = p.id)`,
        values: which.values,
      };
    }),
  );
}

/** For each filter that has terms, the facts of which a matching image has at least one. */
function factsOfFilters({ query, fixed }: Asked, key: ListingKey): readonly (readonly Fact[])[] {
  const filters: (readonly Fact[])[] = [query.names.map((name) => ({ kind: 'name', name }))];
  for (const fact of [...tagFacts(query), ...propertyFacts(query)]) filters.push([fact]);
  filters.push(query.statuses.map((status) => ({ kind: 'status', status })));
  if (query.protected === true) filters.push([{ kind: 'protected', protected: true }]);
  if (key === 'created_at') {
    filters.push(query.diskFormats.map((format) => ({ kind: 'disk-format', format })));
    filters.push(query.containerFormats.map((format) => ({ kind: 'container-format', format })));
    if (query.protected === false) filters.push([{ kind: 'protected', protected: false }]);
  }
  for (const one of fixed) filters.push(factsOfFixed(one, key));
  return filters.filter((facts) => facts.length > 0);
}

/** The fact that every image with this value has, if there is one; formats are indexed by creation only. */
function factsOfFixed({ field, value }: Fixed, key: ListingKey): readonly Fact[] {
  if (typeof value !== 'string') return [];
  switch (field) {
    case 'status':
      return [{ kind: 'status', status: value }];
    case 'name':
      // No name sorts as an empty one, and has no term.
      return value === '' ? [] : [{ kind: 'name', name: value }];
    case 'disk_format':
      return key === 'created_at' ? [{ kind: 'disk-format', format: value }] : [];
    case 'container_format':
      return key === 'created_at' ? [{ kind: 'container-format', format: value }] : [];
    default:
      return [];
  }
}

/** Sets of facts; of each, every image in scope (and of the owner asked for) has at least one. */
function scopeFacts(query: ImageQuery): readonly (readonly Fact[])[] {
  const { anyOwner, own, member } = query.scope;
  const { owner } = query;
  const facts: Fact[] = anyOwner.map((visibility) =>
    owner === null ? { kind: 'visibility', visibility } : { kind: 'owner', owner, visibility },
  );
  if (own !== null && (owner === null || owner === own.projectId)) {
    for (const visibility of own.visibilities) {
      if (!anyOwner.includes(visibility)) facts.push({ kind: 'owner', owner: own.projectId, visibility });
    }
  }
  if (member === null || anyOwner.includes('shared')) return [facts];
  const members = member.statuses.map((status): Fact => ({ kind: 'member', projectId: member.projectId, status }));
  if (owner === null) return [[...facts, ...members]];
  // The images shared with the caller that are of this owner: among the caller's, or among the owner's.
  const shared: Fact = { kind: 'owner', owner, visibility: 'shared' };
  if (owner === own?.projectId && own.visibilities.includes('shared')) return [facts];
  return [
    [...facts, ...members],
    [...facts, shared],
  ];
}

function termsOf(facts: readonly Fact[], query: ImageQuery): readonly number[] {
  return [...new Set(facts.map((fact) => termOf(fact, query.osHidden)))];
}
