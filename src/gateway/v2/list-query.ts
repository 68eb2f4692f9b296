import { ServiceError } from '../../base/service-error.js';
import { ListImagesRequest } from '../../gen/oriel/catalog/v1/catalog_service.js';
import {
  ImageFilter,
  IntegerField,
  MemberStatusScope,
  TimeField,
  TimeOperator,
  VisibilityScope,
} from '../../gen/oriel/catalog/v1/image_filter.js';
import { parseIsoTime, textFilterValues } from './filter-values.js';
import { parseQuery, type QueryParameter } from './list-parameters.js';
import { parseSortKeys } from './sort-keys.js';

/** More than any server's maximum, to which the service clamps. */
const MAX_PAGE_SIZE = 1_000_000;
const MAX_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);

const VISIBILITIES: ReadonlyMap<string, VisibilityScope> = new Map([
  ['public', VisibilityScope.PUBLIC],
  ['private', VisibilityScope.PRIVATE],
  ['shared', VisibilityScope.SHARED],
  ['community', VisibilityScope.COMMUNITY],
  ['all', VisibilityScope.ALL],
]);
const MEMBER_STATUSES: ReadonlyMap<string, MemberStatusScope> = new Map([
  ['accepted', MemberStatusScope.ACCEPTED],
  ['pending', MemberStatusScope.PENDING],
  ['rejected', MemberStatusScope.REJECTED],
  ['all', MemberStatusScope.ALL],
]);
const INTEGER_FIELDS: ReadonlyMap<string, IntegerField> = new Map([
  ['size', IntegerField.SIZE],
  ['virtual_size', IntegerField.VIRTUAL_SIZE],
  ['min_ram', IntegerField.MIN_RAM],
  ['min_disk', IntegerField.MIN_DISK],
]);
const TIME_FIELDS: ReadonlyMap<string, TimeField> = new Map([
  ['created_at', TimeField.CREATED_AT],
  ['updated_at', TimeField.UPDATED_AT],
]);
const TIME_OPERATORS: ReadonlyMap<string, TimeOperator> = new Map([
  ['eq', TimeOperator.EQ],
  ['neq', TimeOperator.NEQ],
  ['gt', TimeOperator.GT],
  ['gte', TimeOperator.GTE],
  ['lt', TimeOperator.LT],
  ['lte', TimeOperator.LTE],
]);
/** Parameters that take all their repetitions; of all others the last counts (reference §12.8 G13). */
const REPEATABLE: ReadonlySet<string> = new Set(['tag', 'sort', 'sort_key', 'sort_dir']);
/** Names that upstream fails on (reference §6.2 "Filters", last row; §13 D10) and `changes-since`, which v2 gave up. */
const REFUSED: ReadonlySet<string> = new Set(['locations', 'properties', 'members', 'changes-since']);
/** No meaning in v2 (reference §6.2). */
const IGNORED: ReadonlySet<string> = new Set(['deleted']);

export interface ListQuery {
  readonly request: ListImagesRequest;
  /** The parameters without the marker, as sent: what the links repeat. */
  readonly linkQuery: string;
}

/**
 * Turns the query of `GET /v2/images` into the request of the catalog service (reference §6.2). A filter that nothing can
 * match asks for a page of no images, so that the caller and the marker are still checked. INVALID_ARGUMENT for what the
 * reference answers 400.
 */
export function parseListQuery(rawQuery: string): ListQuery {
  if (rawQuery === '') return { request: ListImagesRequest.create(), linkQuery: '' };
  const parameters = parseQuery(rawQuery);
  const draft = new ListDraft();
  const last = new Map<string, string>();
  for (const { name, value } of parameters) if (!REPEATABLE.has(name)) last.set(name, value);
  for (const [name, value] of last) draft.take(name, value);
  draft.filter.tags = valuesOf(parameters, 'tag');
  draft.request.sort = parseSortKeys({
    sort: valuesOf(parameters, 'sort'),
    sortKeys: valuesOf(parameters, 'sort_key'),
    sortDirs: valuesOf(parameters, 'sort_dir'),
  });
  draft.request.filter = draft.filter;
  if (draft.matchesNothing) draft.request.pageSize = 0;
  const kept = parameters.filter(({ name }) => name !== 'marker');
  return { request: draft.request, linkQuery: kept.map(({ raw }) => raw).join('&') };
}

function valuesOf(parameters: readonly QueryParameter[], wanted: string): string[] {
  return parameters.filter(({ name }) => name === wanted).map(({ value }) => value);
}

class ListDraft {
  readonly request = ListImagesRequest.create();
  readonly filter = ImageFilter.create();
  matchesNothing = false;

  take(name: string, value: string): void {
    if (IGNORED.has(name)) return;
    if (REFUSED.has(name)) throw new ServiceError('INVALID_ARGUMENT', `${name}: not a filter of this API`);
    if (this.#takePaging(name, value) || this.#takeScope(name, value) || this.#takeText(name, value)) return;
    const timeField = TIME_FIELDS.get(name);
    if (timeField !== undefined) {
      this.#takeTime(name, timeField, value);
    } else if (!this.#takeInteger(name, value)) {
      this.filter.properties.push({ name, value });
    }
  }

  #takePaging(name: string, value: string): boolean {
    if (name === 'limit') {
      if (!/^\d+$/.test(value)) throw expected(name, 'an integer from 0', value);
      this.request.pageSize = Math.min(Number(value), MAX_PAGE_SIZE);
      return true;
    }
    if (name !== 'marker') return false;
    if (value === '') throw expected(name, 'the id of an image', value);
    this.request.pageToken = value;
    return true;
  }

  #takeScope(name: string, value: string): boolean {
    switch (name) {
      case 'visibility':
        if (value === '') this.matchesNothing = true;
        else this.filter.visibility = oneOf(VISIBILITIES, name, value);
        return true;
      case 'member_status':
        this.filter.memberStatus = oneOf(MEMBER_STATUSES, name, value);
        return true;
      case 'os_hidden':
        this.filter.osHidden = flag(name, value.toLowerCase());
        return true;
      case 'protected':
        this.filter.protected = flag(name, value);
        return true;
      case 'owner':
        this.filter.owner = value;
        return true;
      default:
        return false;
    }
  }

  #takeText(name: string, value: string): boolean {
    switch (name) {
      case 'id':
        this.filter.ids.push(...textFilterValues(name, value));
        return true;
      case 'name':
        this.filter.names.push(...textFilterValues(name, value));
        return true;
      case 'status':
        this.filter.statuses.push(...textFilterValues(name, value));
        return true;
      case 'container_format':
        this.filter.containerFormats.push(...textFilterValues(name, value));
        return true;
      case 'disk_format':
        this.filter.diskFormats.push(...textFilterValues(name, value));
        return true;
      case 'checksum':
        this.filter.checksum = value;
        return true;
      case 'os_hash_value':
        this.filter.osHashValue = value;
        return true;
      default:
        return false;
    }
  }

  #takeTime(name: string, field: TimeField, value: string): void {
    // A date holds colons itself: what parses as one has no operator.
    const plain = parseIsoTime(value);
    if (plain !== undefined) {
      this.filter.times.push({ field, operator: TimeOperator.EQ, value: plain });
      return;
    }
    const colon = value.indexOf(':');
    const operator = colon === -1 ? undefined : oneOf(TIME_OPERATORS, `operator of ${name}`, value.slice(0, colon));
    const time = parseIsoTime(value.slice(colon + 1));
    if (operator === undefined || time === undefined) throw expected(name, 'an ISO 8601 date', value);
    this.filter.times.push({ field, operator, value: time });
  }

  #takeInteger(name: string, value: string): boolean {
    const exact = INTEGER_FIELDS.get(name);
    if (exact !== undefined) {
      const number = integer(value);
      if (number === undefined || number < 0n || number > MAX_INTEGER) this.matchesNothing = true;
      else this.filter.integers.push({ field: exact, min: number, max: number });
      return true;
    }
    const bound = /^(.*)_(min|max)$/s.exec(name);
    if (bound === null) return false;
    const field = INTEGER_FIELDS.get(bound[1] ?? '');
    const number = integer(value);
    if (field === undefined) throw new ServiceError('INVALID_ARGUMENT', `${name}: not a filter of this API`);
    if (number === undefined) throw expected(name, 'an integer', value);
    if (bound[2] === 'min') this.#takeMin(field, number);
    else this.#takeMax(field, number);
    return true;
  }

  #takeMin(field: IntegerField, number: bigint): void {
    if (number > MAX_INTEGER) this.matchesNothing = true;
    else this.filter.integers.push({ field, min: number < 0n ? 0n : number, max: undefined });
  }

  #takeMax(field: IntegerField, number: bigint): void {
    if (number < 0n) this.matchesNothing = true;
    else this.filter.integers.push({ field, min: undefined, max: number > MAX_INTEGER ? MAX_INTEGER : number });
  }
}

function integer(value: string): bigint | undefined {
  return /^[+-]?\d{1,40}$/.test(value) ? BigInt(value.replace('+', '')) : undefined;
}

function flag(name: string, value: string): boolean {
  if (value === 'true') return true;
  if (value === 'false') return false;
  throw expected(name, 'true or false', value);
}

function oneOf<T>(words: ReadonlyMap<string, T>, name: string, value: string): T {
  const meaning = words.get(value);
  if (meaning === undefined) throw expected(name, `one of ${[...words.keys()].join(', ')}`, value);
  return meaning;
}

function expected(name: string, what: string, value: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', `${name}: expected ${what}, got ${JSON.stringify(value.slice(0, 80))}`);
}
