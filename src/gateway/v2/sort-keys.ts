import { ServiceError } from '../../base/service-error.js';
import { SortField, type SortKey } from '../../gen/oriel/catalog/v1/image_filter.js';

const SORT_FIELDS: ReadonlyMap<string, SortField> = new Map([
  ['name', SortField.NAME],
  ['status', SortField.STATUS],
  ['container_format', SortField.CONTAINER_FORMAT],
  ['disk_format', SortField.DISK_FORMAT],
  ['size', SortField.SIZE],
  ['id', SortField.ID],
  ['created_at', SortField.CREATED_AT],
  ['updated_at', SortField.UPDATED_AT],
]);

export interface SortParameters {
  /** The values of `sort`. */
  readonly sort: readonly string[];
  readonly sortKeys: readonly string[];
  readonly sortDirs: readonly string[];
}

/**
 * The order that a list asks for (reference §6.2 "Sorting"): `sort=key:dir,…`, or `sort_key` repeated with one `sort_dir`
 * for all or one for each. A key named again changes nothing. INVALID_ARGUMENT for both forms at once, unknown keys and
 * directions, and other counts of directions.
 */
export function parseSortKeys(parameters: SortParameters): SortKey[] {
  const { sort, sortKeys, sortDirs } = parameters;
  if (sort.length > 0 && (sortKeys.length > 0 || sortDirs.length > 0)) {
    throw new ServiceError('INVALID_ARGUMENT', 'expected either sort or sort_key and sort_dir, got both');
  }
  const last = sort.at(-1);
  return withoutRepeats(last === undefined ? classicKeys(sortKeys, sortDirs) : newKeys(last));
}

function newKeys(sort: string): SortKey[] {
  return sort.split(',').map((part) => {
    const colon = part.indexOf(':');
    if (colon === -1) return sortKey('sort', part.trim(), 'desc');
    return sortKey('sort', part.slice(0, colon).trim(), part.slice(colon + 1).trim());
  });
}

function classicKeys(keys: readonly string[], dirs: readonly string[]): SortKey[] {
  if (dirs.length > 1 && dirs.length !== keys.length) {
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `sort_dir: expected one or as many as sort_key (${keys.length}), got ${dirs.length}`,
    );
  }
  const named = keys.length === 0 && dirs.length > 0 ? ['created_at'] : keys;
  return named.map((key, index) => sortKey('sort_key', key, dirs[dirs.length > 1 ? index : 0] ?? 'desc'));
}

function sortKey(parameter: string, key: string, direction: string): SortKey {
  const field = SORT_FIELDS.get(key);
  if (field === undefined) {
    const known = [...SORT_FIELDS.keys()].join(', ');
    throw new ServiceError('INVALID_ARGUMENT', `${parameter}: expected one of ${known}, got ${JSON.stringify(key)}`);
  }
  if (direction !== 'asc' && direction !== 'desc') {
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `sort direction: expected asc or desc, got ${JSON.stringify(direction)}`,
    );
  }
  return { field, ascending: direction === 'asc' };
}

function withoutRepeats(keys: readonly SortKey[]): SortKey[] {
  return keys.filter((key, index) => keys.findIndex((other) => other.field === key.field) === index);
}
