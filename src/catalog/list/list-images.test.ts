import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Effect } from '../../application/ports/catalog.js';
import type { ImageId, NodeId, ProjectId, StoreId } from '../../base/brand.js';
import { dataOf, IMAGE_STATUSES, type Image, type ImageState, VISIBILITIES } from '../../domain/image.js';
import { type ImageQuery, SORT_FIELDS, type TimeMatch } from '../../domain/image-query.js';
import { MEMBER_STATUSES, type Member } from '../../domain/member.js';
import { openEmbeddedCatalog } from '../embedded-catalog.js';
import type { LaneCatalog } from '../lane-catalog.js';
import { Connection } from '../connection.js';
import { findImages } from './find-images.js';
import { compareSortValues, fullOrder, sortValueOf } from './list-order.js';

// Few values of everything, so that ties and matches are common.
const PROJECTS = ['p1', 'p2', 'p3'] as ProjectId[];
const NAMES = ['', 'a', 'B', 'b', 'Ä', '\ue000', '💿', "o'x"];
const project = fc.constantFrom(...PROJECTS);
const text = fc.constantFrom(...NAMES);
const tag = fc.constantFrom('t1', 't2', '💿');
const property = fc.record({ name: fc.constantFrom('os', '__proto__'), value: fc.constantFrom('x', 'y') });
const timeMs = fc.constantFrom(0, 999, 1000, 1001, 1999, 2000, 5_000_000_000_000);
// No format (null) and an empty one sort as equals, but only the latter matches a filter.
const format = fc.constantFrom('raw', 'qcow2', '');
const size = fc.constantFrom(0, 1, 5_000_000_000_000);

const state: fc.Arbitrary<ImageState> = fc.constantFrom(...IMAGE_STATUSES).chain((status): fc.Arbitrary<ImageState> => {
  switch (status) {
    case 'saving':
      return fc.constant({ status, uploadId: 'u' as never });
    case 'deleted':
      return fc.constant({ status: 'queued' });
    case 'active':
    case 'deactivated':
    case 'pending_delete':
      return fc.record({
        status: fc.constant(status),
        data: fc.record({
          sizeBytes: size,
          virtualSizeBytes: fc.option(size),
          checksum: fc.option(fc.constantFrom('c1', 'c2')),
          osHashAlgo: fc.constant('sha512'),
          osHashValue: fc.option(fc.constantFrom('h1', 'h2')),
          locations: fc.constant([]),
          fileMap: fc.constant(null),
        }),
      });
    default:
      return fc.constant({ status });
  }
});

const imageWithout = fc
  .tuple(
    fc.record({
      version: fc.constant(1),
      name: fc.option(text),
      owner: fc.option(project),
      visibility: fc.constantFrom(...VISIBILITIES),
      protected: fc.boolean(),
      osHidden: fc.boolean(),
      diskFormat: fc.option(format),
      containerFormat: fc.option(format),
      minDiskGib: fc.nat(2),
      minRamMib: fc.nat(2),
      createdAtMs: timeMs,
      updatedAtMs: timeMs,
      tags: fc.uniqueArray(tag),
      properties: fc
        .uniqueArray(property, { selector: (pair) => pair.name })
        .map((pairs) => new Map(pairs.map((pair) => [pair.name, pair.value]))),
    }),
    state,
  )
  .map(([common, rest]) => ({ ...common, ...rest }));

const member = fc.record({ memberId: project, status: fc.constantFrom(...MEMBER_STATUSES) });
const some = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant<T[]>([]) }, fc.uniqueArray(values, { minLength: 1, maxLength: 2 }));
const seldom = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, value);

const query: fc.Arbitrary<ImageQuery> = fc.record({
  scope: fc.record({
    anyOwner: fc.uniqueArray(fc.constantFrom(...VISIBILITIES)),
    own: fc.option(fc.record({ projectId: project, visibilities: fc.uniqueArray(fc.constantFrom(...VISIBILITIES)) })),
    member: fc.option(fc.record({ projectId: project, statuses: fc.uniqueArray(fc.constantFrom(...MEMBER_STATUSES)) })),
  }),
  osHidden: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  protected: seldom(fc.boolean()),
  owner: seldom(project),
  ids: fc.constant([]),
  names: some(text),
  statuses: some(fc.constantFrom(...IMAGE_STATUSES)),
  diskFormats: some(format),
  containerFormats: some(format),
  checksum: seldom(fc.constantFrom('c1', 'c2')),
  osHashValue: seldom(fc.constantFrom('h1', 'h2')),
  tags: some(tag),
  properties: some(property),
  integers: some(
    fc.record({
      field: fc.constantFrom('size', 'virtual_size', 'min_ram', 'min_disk'),
      min: fc.option(fc.nat(2)),
      max: fc.option(fc.nat(2)),
    }),
  ),
  times: some(
    fc.record({
      field: fc.constantFrom('created_at', 'updated_at'),
      operator: fc.constantFrom('eq', 'neq', 'gt', 'gte', 'lt', 'lte'),
      seconds: fc.nat(3),
    }),
  ),
  sort: fc.array(fc.record({ field: fc.constantFrom(...SORT_FIELDS), ascending: fc.boolean() }), { maxLength: 3 }),
  after: fc.constant(null),
  limit: fc.constantFrom(1, 2, 3, 7),
});

interface Stored {
  readonly image: Image;
  readonly members: readonly Member[];
}

function matches({ image, members }: Stored, q: ImageQuery): boolean {
  const { scope } = q;
  const inScope =
    scope.anyOwner.includes(image.visibility) ||
    (scope.own?.projectId === image.owner && scope.own.visibilities.includes(image.visibility)) ||
    (image.visibility === 'shared' &&
      members.some((m) => m.memberId === scope.member?.projectId && scope.member.statuses.includes(m.status)));
  const any = (values: readonly string[], value: string | null): boolean =>
    values.length === 0 || (value !== null && values.includes(value));
  const data = dataOf(image);
  const integers = {
    size: data?.sizeBytes ?? null,
    virtual_size: data?.virtualSizeBytes ?? null,
    min_ram: image.minRamMib,
    min_disk: image.minDiskGib,
  };
  return (
    inScope &&
    !['killed', 'deleted', 'pending_delete'].includes(image.status) &&
    image.osHidden === q.osHidden &&
    (q.protected === null || image.protected === q.protected) &&
    (q.owner === null || image.owner === q.owner) &&
    any(q.names, image.name) &&
    any(q.statuses, image.status) &&
    any(q.diskFormats, image.diskFormat) &&
    any(q.containerFormats, image.containerFormat) &&
    (q.checksum === null || data?.checksum === q.checksum) &&
    (q.osHashValue === null || data?.osHashValue === q.osHashValue) &&
    q.tags.every((wanted) => image.tags.includes(wanted)) &&
    q.properties.every(({ name, value }) => image.properties.get(name) === value) &&
    q.integers.every(({ field, min, max }) => {
      const value = integers[field];
      return (
        (min === null && max === null) ||
        (value !== null && (min === null || value >= min) && (max === null || value <= max))
      );
    }) &&
    q.times.every((match) => timeMatches(image, match))
  );
}

function timeMatches(image: Image, { field, operator, seconds }: TimeMatch): boolean {
  const value = Math.floor((field === 'created_at' ? image.createdAtMs : image.updatedAtMs) / 1000);
  return {
    eq: value === seconds,
    neq: value !== seconds,
    gt: value > seconds,
    gte: value >= seconds,
    lt: value < seconds,
    lte: value <= seconds,
  }[operator];
}

function oracle(stored: readonly Stored[], q: ImageQuery): string[] {
  const order = fullOrder(q.sort);
  return stored
    .filter((one) => matches(one, q))
    .map((one) => one.image)
    .sort((a, b) => {
      for (const { field, ascending } of order) {
        const compared = compareSortValues(sortValueOf(a, field), sortValueOf(b, field));
        if (compared !== 0) return ascending ? compared : -compared;
      }
      return 0;
    })
    .map((image) => image.id);
}

/** The page after the marker, which need not match itself. */
function oracleAfter(stored: readonly Stored[], q: ImageQuery, marker: Image): string[] {
  const order = fullOrder(q.sort);
  const isAfter = (image: Image): boolean => {
    for (const { field, ascending } of order) {
      const compared = compareSortValues(sortValueOf(image, field), sortValueOf(marker, field));
      if (compared !== 0) return ascending ? compared > 0 : compared < 0;
    }
    return false;
  };
  const later = stored.filter(({ image }) => isAfter(image));
  return oracle(later, q).slice(0, q.limit);
}

/** Wide lists by several keys, so that their groups hold many images, and pages end within groups. */
const groupedQuery = fc
  .record({
    query,
    narrow: fc.boolean(),
    sort: fc.uniqueArray(fc.record({ field: fc.constantFrom(...SORT_FIELDS), ascending: fc.boolean() }), {
      selector: (key) => key.field,
      minLength: 1,
      maxLength: 4,
    }),
    limit: fc.constantFrom(1, 2, 5, 25, 400),
    isProtected: seldom(fc.boolean()),
    statuses: some(fc.constantFrom(...IMAGE_STATUSES)),
    diskFormats: some(format),
  })
  .map(({ query: q, narrow, sort, limit, isProtected, statuses, diskFormats }): ImageQuery => {
    const none = { checksum: null, osHashValue: null, owner: null, names: [], tags: [], properties: [] };
    const scope = narrow ? q.scope : { ...q.scope, anyOwner: VISIBILITIES };
    const few = { containerFormats: [], integers: [], times: [], statuses, diskFormats, protected: isProtected };
    return { ...q, ...none, ...few, scope, sort, limit };
  });

describe('listImages', () => {
  let directory: string;
  let catalog: LaneCatalog;
  const stored: Stored[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'oriel-list-'));
    catalog = await openEmbeddedCatalog({ path: join(directory, 'catalog.db') });
    const inserted = fc.sample(fc.tuple(imageWithout, fc.uniqueArray(member, { selector: (m) => m.memberId })), 400);
    const updated = fc.sample(imageWithout, 400);
    const writes: Promise<unknown>[] = [];
    for (const [index, [without, members]] of inserted.entries()) {
      // Both letter cases occur, and order like bytes.
      const hex = index.toString(16).padStart(12, '0');
      const id = `${index % 3 === 0 ? 'ABCDEF00' : 'abcdef00'}-0000-4000-8000-${hex}` as ImageId;
      let image: Image = { ...without, id };
      const effects: Effect[] = [{ kind: 'insert-image', image }];
      const whole = members.map((m): Member => ({ ...m, imageId: id, createdAtMs: 1, updatedAtMs: 1 }));
      for (const m of whole) effects.push({ kind: 'insert-member', member: m });
      const change = updated[index];
      if (index % 2 === 0 && change !== undefined) {
        const after: Image = { ...change, createdAtMs: without.createdAtMs, id, version: 2 };
        effects.push({ kind: 'update-image', before: image, after });
        image = after;
      }
      const last = whole.pop();
      if (last !== undefined && index % 3 === 0)
        effects.push({ kind: 'delete-member', imageId: id, memberId: last.memberId });
      else if (last !== undefined) {
        whole.push({ ...last, status: 'accepted' });
        effects.push({ kind: 'update-member', member: { ...last, status: 'accepted' } });
      }
      writes.push(catalog.write(effects, { opId: `op-${index}`, subject: id }));
      stored.push({ image, members: whole });
    }
    await Promise.all(writes);
    expect(
      await catalog.read((reader) =>
        reader.garbage({ nodeId: 'n' as NodeId, unnamed: true, storeIds: ['x' as StoreId] }, 1),
      ),
    ).toEqual([]);
  });
  afterAll(async () => {
    await catalog.close();
    rmSync(directory, { recursive: true });
  });

  test('agrees with an in-memory list for any query, walked page by page', async () => {
    await fc.assert(
      fc.asyncProperty(query, async (q) => {
        const expected = oracle(stored, q);
        const walked: string[] = [];
        let after: ImageId | null = null;
        // 60 images are enough of a walk, and always past the first groups.
        for (let page = 0; page * q.limit < Math.min(expected.length, 60) + q.limit; page += 1) {
          const images: readonly Image[] = await catalog.listImages({ ...q, after });
          walked.push(...images.map((image) => image.id));
          if (images.length < q.limit) break;
          after = images.at(-1)?.id ?? null;
        }
        expect(walked).toEqual(expected.slice(0, Math.max(walked.length, Math.min(expected.length, 60))));
      }),
      { numRuns: 150 },
    );
  });

  test('continues after a marker that does not match itself', async () => {
    await fc.assert(
      fc.asyncProperty(query, fc.nat(399), async (q, index) => {
        const marker = stored[index]?.image;
        if (marker === undefined) return;
        const expected = oracleAfter(stored, q, marker);
        const images = await catalog.listImages({ ...q, after: marker.id });
        expect(images.map((image) => image.id)).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  test('agrees whatever the budgets, so whichever way is taken', () => {
    const connection = new Connection(join(directory, 'catalog.db'), 'reader');
    const last = Number.MAX_SAFE_INTEGER;
    fc.assert(
      fc.property(
        query,
        fc.constantFrom([last], [1, last], [2, 5, 20, last], [50, last]),
        fc.boolean(),
        (q, budgets, exact) => {
          const found = findImages(connection, { query: q, marker: null, exact, budgets });
          expect(found?.map(({ id }) => id)).toEqual(oracle(stored, q).slice(0, q.limit));
        },
      ),
      { numRuns: 400 },
    );
    connection.close();
  });

  test('walks groups under any budgets, from markers within groups and outside of them', () => {
    const connection = new Connection(join(directory, 'catalog.db'), 'reader');
    const last = Number.MAX_SAFE_INTEGER;
    fc.assert(
      fc.property(
        groupedQuery,
        fc.option(fc.nat(399)),
        fc.constantFrom([last], [1, last], [10, 40, last], [120, last], [10, 40]),
        (q, index, budgets) => {
          const marker = index === null ? null : (stored[index]?.image ?? null);
          const found = findImages(connection, { query: q, marker, exact: false, budgets });
          const expected = marker === null ? oracle(stored, q).slice(0, q.limit) : oracleAfter(stored, q, marker);
          if (found === undefined) expect(budgets).not.toContain(last);
          else expect(found.map(({ id }) => id)).toEqual(expected);
        },
      ),
      { numRuns: 600 },
    );
    connection.close();
  });

  test('finds given ids only', async () => {
    const ids = stored.slice(0, 30).map(({ image }) => image.id);
    const sample = fc.sample(query, 1)[0];
    if (sample === undefined) throw new Error('no sample');
    const q: ImageQuery = {
      ...sample,
      ids,
      sort: [],
      limit: 50,
      scope: { anyOwner: VISIBILITIES, own: null, member: null },
    };
    const found = (await catalog.listImages(q)).map((image) => image.id);
    expect(found).toEqual(oracle(stored.slice(0, 30), q));
  });
});
