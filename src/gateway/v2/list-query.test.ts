import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../base/service-error.js';
import {
  type ImageFilter,
  IntegerField,
  MemberStatusScope,
  SortField,
  TimeField,
  TimeOperator,
  VisibilityScope,
} from '../../gen/oriel/catalog/v1/image_filter.js';
import { splitQuoted } from './filter-values.js';
import { parseListQuery } from './list-query.js';

const request = (query: string) => parseListQuery(query).request;
const filter = (query: string): ImageFilter | undefined => request(query).filter;

function isRefused(query: string): boolean {
  try {
    parseListQuery(query);
    return false;
  } catch (error) {
    if (error instanceof ServiceError && error.reason === 'INVALID_ARGUMENT') return true;
    throw error;
  }
}

describe('paging', () => {
  it('leaves the page size to the server when there is no limit', () => {
    expect(request('').pageSize).toBeUndefined();
  });

  it('takes limit and marker', () => {
    expect(request('limit=2&marker=abc')).toMatchObject({ pageSize: 2, pageToken: 'abc' });
    expect(request('limit=0').pageSize).toBe(0);
    expect(request('limit=99999999999999999999').pageSize).toBe(1_000_000);
  });

  it.each(['limit=-1', 'limit=x', 'limit=', 'limit=1.5', 'limit=1e3', 'marker='])('refuses %s', (query) => {
    expect(isRefused(query)).toBe(true);
  });

  it('repeats in links everything but the marker, as it was sent (D5)', () => {
    const query = 'tag=a%20b&marker=x&tag=c&sort_key=name&sort_key=id&sort_dir=asc&name=in:%22a,b%22,c';
    expect(parseListQuery(query).linkQuery).toBe(
      'tag=a%20b&tag=c&sort_key=name&sort_key=id&sort_dir=asc&name=in:%22a,b%22,c',
    );
  });
});

describe('sorting', () => {
  const sort = (query: string) => request(query).sort.map(({ field, ascending }) => [field, ascending]);

  it('takes the new form, descending by default', () => {
    expect(sort('sort=name:asc,size,created_at:desc')).toEqual([
      [SortField.NAME, true],
      [SortField.SIZE, false],
      [SortField.CREATED_AT, false],
    ]);
  });

  it('takes the classic form with one direction or one for each key', () => {
    expect(sort('sort_key=name&sort_key=id&sort_dir=asc')).toEqual([
      [SortField.NAME, true],
      [SortField.ID, true],
    ]);
    expect(sort('sort_key=name&sort_key=id&sort_dir=asc&sort_dir=desc')).toEqual([
      [SortField.NAME, true],
      [SortField.ID, false],
    ]);
    expect(sort('sort_key=status')).toEqual([[SortField.STATUS, false]]);
    expect(sort('sort_dir=asc')).toEqual([[SortField.CREATED_AT, true]]);
  });

  it.each([
    'sort=name&sort_key=id',
    'sort=name&sort_dir=asc',
    'sort=owner',
    'sort=name:up',
    'sort=',
    'sort=name,',
    'sort_key=min_ram',
    'sort_key=name&sort_dir=up',
    'sort_key=name&sort_dir=asc&sort_dir=asc',
    'sort_key=name&sort_key=id&sort_key=size&sort_dir=asc&sort_dir=asc',
    'sort_dir=asc&sort_dir=desc',
  ])('refuses %s', (query) => {
    expect(isRefused(query)).toBe(true);
  });
});

describe('filters', () => {
  it('takes scopes and flags', () => {
    expect(filter('visibility=all&member_status=pending&os_hidden=TRUE&protected=false&owner=p')).toMatchObject({
      visibility: VisibilityScope.ALL,
      memberStatus: MemberStatusScope.PENDING,
      osHidden: true,
      protected: false,
      owner: 'p',
    });
  });

  it('takes texts: exact, eq:, in: with quotes', () => {
    expect(filter('name=a,b')?.names).toEqual(['a,b']);
    expect(filter('name=eq:a,b')?.names).toEqual(['a,b']);
    expect(filter('name=in:%22c,d%22,a')?.names).toEqual(['c,d', 'a']);
    expect(filter('name=:a')?.names).toEqual([':a']);
    expect(filter('name=a:')?.names).toEqual(['a:']);
    expect(filter('id=in:x,y&status=active&disk_format=in:raw,qcow2&container_format=bare')).toMatchObject({
      ids: ['x', 'y'],
      statuses: ['active'],
      diskFormats: ['raw', 'qcow2'],
      containerFormats: ['bare'],
    });
  });

  it('takes times with and without operator', () => {
    const at = new Date('2026-01-02T03:04:05Z');
    expect(filter('created_at=gte:2026-01-02T03:04:05Z&updated_at=2026-01-02T03:04:05Z')?.times).toEqual([
      { field: TimeField.CREATED_AT, operator: TimeOperator.GTE, value: at },
      { field: TimeField.UPDATED_AT, operator: TimeOperator.EQ, value: at },
    ]);
    for (const same of [
      '2026-01-02T04:04:05%2B01:00',
      '2026-01-02T04:04:05+01:00',
      '2026-01-02 03:04:05',
      '2026-01-02T03:04:05.900Z',
    ]) {
      expect(filter(`created_at=neq:${same}`)?.times[0]?.value).toEqual(at);
    }
    expect(filter('created_at=2026-01-02')?.times[0]?.value).toEqual(new Date('2026-01-02T00:00:00Z'));
  });

  it('takes numbers and their bounds', () => {
    expect(filter('size_min=5&size_max=9&min_ram=3&virtual_size_max=1&min_disk_min=-4')?.integers).toEqual([
      { field: IntegerField.SIZE, min: 5n, max: undefined },
      { field: IntegerField.SIZE, min: undefined, max: 9n },
      { field: IntegerField.MIN_RAM, min: 3n, max: 3n },
      { field: IntegerField.VIRTUAL_SIZE, min: undefined, max: 1n },
      { field: IntegerField.MIN_DISK, min: 0n, max: undefined },
    ]);
  });

  it('takes hashes, tags and custom properties', () => {
    expect(filter('checksum=c&os_hash_value=h&tag=a&tag=b&is_public=true&property-x=1&deleted=true')).toMatchObject({
      checksum: 'c',
      osHashValue: 'h',
      tags: ['a', 'b'],
      properties: [
        { name: 'is_public', value: 'true' },
        { name: 'property-x', value: '1' },
      ],
    });
  });

  it('takes the last of repeated parameters', () => {
    expect(filter('name=a&name=b')?.names).toEqual(['b']);
    expect(filter('x=1&x=2')?.properties).toEqual([{ name: 'x', value: '2' }]);
  });

  it('takes brackets and odd names as they are', () => {
    expect(filter('a[b]=c&__proto__=d')?.properties).toEqual([
      { name: 'a[b]', value: 'c' },
      { name: '__proto__', value: 'd' },
    ]);
  });

  it.each(['visibility=', 'size=abc', 'min_ram=x', 'size=-1', 'size_max=-1', 'size_min=99999999999999999999'])(
    'asks for nothing where nothing can match: %s',
    (query) => {
      expect(request(query).pageSize).toBe(0);
    },
  );

  it.each([
    'visibility=secret',
    'member_status=maybe',
    'os_hidden=1',
    'protected=True',
    'name=like:x',
    'name=in:%22a',
    'name=in:%22a%22b',
    'name=in:a%22b%22',
    'created_at=x',
    'created_at=in:2026-01-01',
    'created_at=gt:2026-02-31',
    'updated_at=',
    'size_min=x',
    'min_ram_max=',
    'foo_min=1',
    'changes-since=2026-01-01',
    'locations=x',
    'properties=x',
    'members=x',
    'name=%F0%9F%99%82',
    'x%00=y',
  ])('refuses %s', (query) => {
    expect(isRefused(query)).toBe(true);
  });
});

describe('properties', () => {
  it('never fails with anything but INVALID_ARGUMENT', () => {
    const name = fc.constantFrom(
      'name',
      'id',
      'created_at',
      'size',
      'size_min',
      'limit',
      'sort',
      'sort_key',
      'tag',
      'x',
    );
    const pair = fc.tuple(fc.oneof(name, fc.string()), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(fc.array(pair), fc.string(), (pairs, raw) => {
        isRefused(pairs.map(([key, value]) => `${key}=${value}`).join('&'));
        isRefused(raw);
      }),
    );
  });

  it('reads back lists that were quoted', () => {
    const item = fc.string().filter((text) => !/["\\]/.test(text));
    fc.assert(
      fc.property(fc.array(item, { minLength: 1 }), (items) => {
        expect(splitQuoted('name', items.map((text) => `"${text}"`).join(','))).toEqual(items);
      }),
    );
  });
});
