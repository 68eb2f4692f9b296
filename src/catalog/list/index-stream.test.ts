import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageId, ProjectId } from '../../base/brand.js';
import { type ImageQuery, SORT_FIELDS } from '../../domain/image-query.js';
import { type Image, VISIBILITIES } from '../../domain/image.js';
import { Connection, type Row, type SqlValue } from '../connection.js';
import { openEmbeddedCatalog } from '../embedded-catalog.js';
import type { LaneCatalog } from '../lane-catalog.js';
import { findImages } from './find-images.js';
import { listingKeyOf } from './list-order.js';

const ME = 'me' as ProjectId;
const QUERY: ImageQuery = {
  // Three kinds of terms, and images that are in two of them.
  scope: {
    anyOwner: ['public'],
    own: { projectId: ME, visibilities: VISIBILITIES },
    member: { projectId: ME, statuses: ['accepted', 'pending'] },
  },
  osHidden: false,
  protected: null,
  owner: null,
  ids: [],
  names: [],
  statuses: [],
  diskFormats: [],
  containerFormats: [],
  checksum: null,
  osHashValue: null,
  tags: [],
  properties: [],
  integers: [],
  times: [],
  sort: [],
  after: null,
  limit: 25,
};

/** Keeps the plan of all that it is asked. */
class Explaining extends Connection {
  readonly plans: string[] = [];

  override all(sql: string, ...values: SqlValue[]): readonly Row[] {
    this.#explain(sql, values);
    return super.all(sql, ...values);
  }

  override get(sql: string, ...values: SqlValue[]): Row | undefined {
    this.#explain(sql, values);
    return super.get(sql, ...values);
  }

  #explain(sql: string, values: readonly SqlValue[]): void {
    const steps = super.all(`explain query plan ${sql}`, ...values).map((row) => String(row[3]));
    this.plans.push(steps.join('\n'));
  }
}

describe('a list over several terms', () => {
  let directory: string;
  let catalog: LaneCatalog;
  const images: Image[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'oriel-stream-'));
    catalog = await openEmbeddedCatalog({ path: join(directory, 'catalog.db') });
    for (let n = 0; n < 80; n += 1) {
      const image: Image = {
        id: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as ImageId,
        version: 1,
        status: 'queued',
        name: `name-${n % 2}`,
        owner: n % 2 === 0 ? ME : null,
        visibility: VISIBILITIES[n % 4] ?? 'private',
        protected: false,
        osHidden: false,
        diskFormat: 'raw',
        containerFormat: 'bare',
        minDiskGib: 0,
        minRamMib: 0,
        createdAtMs: n,
        updatedAtMs: n,
        tags: [],
        properties: new Map(),
      };
      images.push(image);
      const member = { imageId: image.id, memberId: ME, createdAtMs: 1, updatedAtMs: 1 };
      await catalog.write(
        [
          { kind: 'insert-image', image },
          { kind: 'insert-member', member: { ...member, status: 'accepted' } },
        ],
        { opId: `op-${n}`, subject: '' },
      );
    }
  });
  afterAll(async () => {
    await catalog.close();
    rmSync(directory, { recursive: true });
  });

  const visible = (): readonly string[] =>
    images
      .filter((image) => image.visibility === 'public' || image.visibility === 'shared' || image.owner === ME)
      .map((image) => image.id);

  test('has an image that is in two of them once', async () => {
    const listed = await catalog.listImages({ ...QUERY, limit: 1000 });
    expect(listed.map((image) => image.id)).toEqual(visible().toReversed());
  });

  test('is merged by the index alone, in any order and direction: nothing is sorted', () => {
    const connection = new Explaining(join(directory, 'catalog.db'), 'reader');
    const filters: Partial<ImageQuery>[] = [{}, { names: ['name-0', 'name-1'] }, { diskFormats: ['raw'] }];
    for (const field of SORT_FIELDS.filter((one) => listingKeyOf(one) !== undefined)) {
      for (const ascending of [true, false]) {
        for (const filter of filters) {
          const query = { ...QUERY, ...filter, sort: [{ field, ascending }] };
          const marker = images[40] ?? null;
          for (const after of [null, marker]) {
            const found = findImages(connection, { query, marker: after, exact: false, budgets: [512] });
            expect(found).toBeDefined();
          }
        }
      }
    }
    connection.close();
    expect(connection.plans.filter((plan) => plan.includes('MERGE (UNION)')).length).toBeGreaterThan(40);
    expect(connection.plans.filter((plan) => plan.includes('TEMP B-TREE'))).toEqual([]);
  });

  test('finds the images of more names than are merged', async () => {
    const names = ['name-1', ...Array.from({ length: 700 }, (_, n) => `none-${n}`)];
    for (const ascending of [true, false]) {
      const query = { ...QUERY, names, sort: [{ field: 'name', ascending }] as const, limit: 1000 };
      const listed = await catalog.listImages(query);
      const expected = images.filter((image) => image.name === 'name-1' && visible().includes(image.id));
      expect(listed.map((image) => image.id)).toEqual(expected.map((image) => image.id).toReversed());
    }
  });
});
