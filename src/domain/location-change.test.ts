import { describe, expect, it } from 'vitest';
import { asImageId, asNodeId, asObjectKey, asProjectId, asStoreId, type ImageId } from '../base/brand.js';
import type { Reason } from '../base/error-table.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from './caller.js';
import { dataOf, type Image, type ImageCommon, type ImageData } from './image.js';
import { withCopy } from './image-copy.js';
import { type Location, mapPlaces, objectsGone } from './location.js';
import { changeLocations, type ExpectedData, type LocationChange, removeLocations } from './location-change.js';

const ID = asImageId('11111111-1111-4111-8111-111111111111') as ImageId;
const OTHER = '22222222-2222-4222-8222-222222222222';
const who = (roles: readonly string[]): Caller => ({
  ...{ kind: 'user', userId: 'u', projectId: asProjectId('a'), roles: new Set(roles), serviceRoles: new Set() },
});
const limits = {
  ...{ pageSizeDefault: 25, pageSizeMax: 1000, imagePropertyQuota: 3, imageTagQuota: 2 },
  ...{ imageMemberQuota: 2, imageLocationQuota: 3, imageSizeCapBytes: 1 },
};

function location(id: string, { at, ...fields }: Partial<Location> & { readonly at?: string } = {}): Location {
  const key = asObjectKey(at ?? `bucket/${id}`);
  if (key === undefined) throw new Error('no key');
  return {
    ...{ id, nodeId: asNodeId('n1'), storeId: asStoreId('s3'), key, metadata: new Map() },
    ...{ digest: 'verified', created: false, ...fields },
  };
}

const made = (id: string, store: string): Location =>
  location(id, { at: `${ID}/${id}.data`, storeId: asStoreId(store), created: true });

const common: ImageCommon = {
  ...{
    id: ID,
    version: 3,
    name: null,
    owner: asProjectId('a'),
    visibility: 'shared',
    protected: false,
    osHidden: false,
  },
  ...{ diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
  ...{ tags: [], properties: new Map() },
};
const queued: Image = { ...common, status: 'queued' };
const data: ImageData = {
  ...{
    sizeBytes: 10,
    virtualSizeBytes: null,
    checksum: 'c'.repeat(32),
    osHashAlgo: 'sha512',
    osHashValue: 'd'.repeat(128),
  },
  locations: [made('one', 'fast'), location('two')],
  fileMap: null,
};
const mapKey = asObjectKey(`${ID}/one.map`);
if (mapKey === undefined) throw new Error('no key');
const fileMap = { storeId: asStoreId('fast'), key: mapKey, sizeBytes: 1, sha256: '' };
const active: Image = { ...common, status: 'active', data: { ...data, fileMap } };

function change(image: Image, wanted: LocationChange, roles: readonly string[] = ['admin']): Image | Reason {
  try {
    return changeLocations(image, wanted, {
      ...{ caller: who(roles), hashingAlgorithm: 'sha512' },
      rules: { limits, diskFormats: ['raw'], containerFormats: ['bare'] },
    });
  } catch (error) {
    if (error instanceof ServiceError) return error.reason;
    throw error;
  }
}

const add = (
  added: Location,
  more: { sizeBytes?: number; expected?: ExpectedData; index?: number } = {},
): LocationChange => ({
  kind: 'add',
  found: { location: added, sizeBytes: more.sizeBytes ?? 10, virtualSizeBytes: null, expected: more.expected ?? null },
  index: more.index ?? null,
});
const idsOf = (image: Image | Reason): unknown =>
  typeof image === 'string' ? image : dataOf(image)?.locations.map(({ id }) => id);

describe('adding', () => {
  it('appends or inserts, for the owner', () => {
    expect(idsOf(change(active, add(location('x')), ['member']))).toEqual(['one', 'two', 'x']);
    expect(idsOf(change(active, add(location('x'), { index: 0 })))).toEqual(['x', 'one', 'two']);
    expect(change(active, add(location('x'), { index: 3 }))).toBe('INVALID_ARGUMENT');
    expect(change(active, add(location('x')), ['reader'])).toBe('FORBIDDEN');
  });

  it('makes a queued image active, with digests that nobody has compared', () => {
    const unread = location('x', { digest: 'unverified' });
    const expected = { checksum: null, osHashAlgo: 'sha512', osHashValue: 'e'.repeat(128) };
    expect(change(queued, add(unread, { sizeBytes: 7, expected }))).toMatchObject({
      status: 'active',
      data: { sizeBytes: 7, checksum: null, osHashValue: 'e'.repeat(128), locations: [{ digest: 'unverified' }] },
    });
    expect(change({ ...queued, diskFormat: null }, add(unread))).toBe('INVALID_ARGUMENT');
    expect(change({ ...common, status: 'importing' }, add(unread))).toBe('STATE_CONFLICT');
  });

  it('refuses duplicates, other sizes and too many', () => {
    expect(change(active, add(location('x', { at: 'bucket/two' })))).toBe('INVALID_ARGUMENT');
    expect(
      idsOf(change(active, add(location('x', { at: 'bucket/two', metadata: new Map([['a', 'b']]) })))),
    ).toHaveLength(3);
    expect(change(active, add(location('x'), { sizeBytes: 11 }))).toBe('INVALID_ARGUMENT');
    const full = change(active, add(location('x')));
    expect(typeof full === 'string' ? full : change(full, add(location('y')))).toBe('LIMIT_EXCEEDED');
  });

  it("LP1546507: refuses another image's object, and one of its own that is about to go", () => {
    expect(change(queued, add(location('x', { at: `${OTHER}/u.data` })))).toBe('INVALID_ARGUMENT');
    expect(change(active, add(location('x', { at: `${OTHER}/u.data` })))).toBe('INVALID_ARGUMENT');
    expect(change(active, add(location('x', { at: `${ID}/removed.data` })))).toBe('INVALID_ARGUMENT');
  });

  it('refuses an object of its own a second time, as that of another node too, and takes it with other metadata', () => {
    const again = { ...made('one', 'fast'), id: 'x', created: false };
    for (const fields of [{ nodeId: asNodeId('n2') }, { nodeId: null }])
      expect(change(active, add({ ...again, ...fields }))).toBe('INVALID_ARGUMENT');
    expect(idsOf(change(active, add({ ...again, metadata: new Map([['a', 'b']]) })))).toEqual(['one', 'two', 'x']);
  });

  it.each<[string, ExpectedData, Reason | 'ok']>([
    ['the same digests', { checksum: null, osHashAlgo: 'sha512', osHashValue: 'd'.repeat(128) }, 'ok'],
    ['another digest', { checksum: null, osHashAlgo: 'sha512', osHashValue: 'e'.repeat(128) }, 'STATE_CONFLICT'],
    ['another checksum', { checksum: 'd'.repeat(32), osHashAlgo: null, osHashValue: null }, 'STATE_CONFLICT'],
    ['another algorithm', { checksum: null, osHashAlgo: 'md5', osHashValue: 'd'.repeat(32) }, 'STATE_CONFLICT'],
    ['no hex', { checksum: null, osHashAlgo: 'sha512', osHashValue: 'z'.repeat(128) }, 'STATE_CONFLICT'],
    ['a short digest', { checksum: null, osHashAlgo: 'sha512', osHashValue: 'd' }, 'STATE_CONFLICT'],
  ])('compares validation_data: %s', (_what, expected, reason) => {
    const changed = change(active, add(location('x'), { expected }));
    expect(typeof changed === 'string' ? changed : 'ok').toBe(reason);
  });
});

describe('removing', () => {
  it('takes one out, for administrators, never the last (OSSA-2016-006)', () => {
    const left = change(active, { kind: 'remove', id: 'one' });
    expect(idsOf(left)).toEqual(['two']);
    expect(typeof left === 'string' ? left : change(left, { kind: 'remove', id: 'two' })).toBe('FORBIDDEN');
    expect(change(active, { kind: 'remove', id: 'one' }, ['member'])).toBe('FORBIDDEN');
    expect(change(active, { kind: 'remove', id: 'x' })).toBe('INVALID_ARGUMENT');
    expect(change(queued, { kind: 'remove', id: 'x' })).toBe('STATE_CONFLICT');
  });

  it('never takes out the last that is good', () => {
    const of = (...locations: readonly Location[]): Image => ({ ...active, data: { ...data, fileMap, locations } });
    const damaged = { ...location('two'), damage: 'missing' as const };
    expect(change(of(made('one', 'fast'), damaged), { kind: 'remove', id: 'one' })).toBe('FORBIDDEN');
    expect(idsOf(change(of(made('one', 'fast'), damaged), { kind: 'remove', id: 'two' }))).toEqual(['one']);
    const both = of({ ...made('one', 'fast'), damage: 'damaged' }, damaged);
    expect(idsOf(change(both, { kind: 'remove', id: 'one' }))).toEqual(['two']);
  });

  it('keeps the map of what the service did not store, by itself', () => {
    expect(change(active, { kind: 'remove', id: 'one' })).toMatchObject({
      data: { locations: [{ id: 'two', digest: 'verified' }], fileMap: { ...fileMap, nodeId: 'n1' } },
    });
    // A map that went with its node leaves nothing to check by.
    for (const fields of [{ nodeId: null }, { damage: 'missing' as const }]) {
      const locations = [{ ...made('one', 'fast'), ...fields }, location('two')];
      expect(change({ ...active, data: { ...data, fileMap, locations } }, { kind: 'remove', id: 'one' })).toMatchObject(
        {
          data: { locations: [{ id: 'two', digest: 'unverified' }], fileMap: null },
        },
      );
    }
  });

  it('makes garbage of what the service made for it, and of nothing else', () => {
    const before = [made('one', 'fast'), made('copy', 'slow'), location('two')];
    const keys = (left: readonly Location[]) =>
      objectsGone(before, left).map(({ storeId, key }) => `${storeId} ${key}`);
    expect(keys(before.slice(1))).toEqual([`fast ${ID}/one.data`, `fast ${ID}/one.map`]);
    expect(keys(before.slice(0, 2))).toEqual([]);
    // Another location of the same object needs it still.
    expect(keys([{ ...made('one', 'fast'), id: 'again', created: false }, ...before.slice(1)])).toEqual([
      `fast ${ID}/one.map`,
    ]);
  });

  it('keeps an object that another location names, whichever node that is of', () => {
    const uploaded = { ...made('one', 'swift'), nodeId: asNodeId('edge') };
    const named = { ...uploaded, id: 'again', nodeId: asNodeId('authority'), created: false };
    const keys = objectsGone([uploaded, named], [named]).map(({ key }) => key);
    expect(keys).toEqual([`${ID}/one.map`]);
    expect(objectsGone([uploaded, named], [])).toHaveLength(2);
  });

  it('has an object of the service go with the last location that names it', () => {
    const again = {
      ...made('one', 'fast'),
      id: 'x',
      created: false,
      nodeId: asNodeId('n2'),
      metadata: new Map([['a', 'b']]),
    };
    const both = change(active, add(again));
    if (typeof both === 'string') return expect.fail(both);
    const left = removeLocations(both, ({ id }) => id === 'one');
    const { locations } = dataOf(left) ?? expect.fail();
    expect(locations.find(({ id }) => id === 'x')).toMatchObject({ created: true, nodeId: made('one', 'fast').nodeId });
    expect(objectsGone(dataOf(both)?.locations ?? [], locations)).toEqual([]);
    expect(objectsGone(locations, []).map(({ key }) => key)).toContain(again.key);
  });

  it('keeps the map that lies beside a copy', () => {
    const locations = [...data.locations, made('copy', 'slow')];
    expect(
      change({ ...common, status: 'active', data: { ...data, fileMap, locations } }, { kind: 'remove', id: 'one' }),
    ).toMatchObject({
      data: { fileMap: { storeId: 'slow', key: `${ID}/copy.map` } },
    });
    expect(mapPlaces(fileMap, locations).map(({ storeId, key }) => `${storeId} ${key}`)).toEqual([
      `fast ${ID}/one.map`,
      `slow ${ID}/copy.map`,
    ]);
  });
});

it('replaces metadata and order, never the places', () => {
  const wanted = [
    { id: 'two', metadata: new Map([['where', 'there']]) },
    { id: 'one', metadata: new Map<string, string>() },
  ];
  const changed = change(active, { kind: 'replace', locations: wanted });
  expect(changed).toMatchObject({ data: { locations: [{ id: 'two', metadata: wanted[0]?.metadata }, { id: 'one' }] } });
  expect(change(active, { kind: 'replace', locations: [] })).toBe('FORBIDDEN');
  expect(change(active, { kind: 'replace', locations: wanted.slice(1) })).toBe('INVALID_ARGUMENT');
  expect(change(active, { kind: 'replace', locations: [...wanted, ...wanted] })).toBe('INVALID_ARGUMENT');
  expect(change(active, { kind: 'replace', locations: wanted }, ['member'])).toBe('FORBIDDEN');
});

it('takes a copy only of the same data', () => {
  const copy: ImageData = { ...data, locations: [made('copy', 'slow')] };
  expect(idsOf(withCopy(active, copy, limits))).toEqual(['one', 'two', 'copy']);
  const other = { ...copy, osHashValue: 'e'.repeat(128) };
  expect(() => withCopy(active, other, limits)).toThrow(/not what its digests say/);
  expect(() => withCopy(active, { ...copy, locations: [made('copy', 'fast')] }, limits)).toThrow(/already/);
});
