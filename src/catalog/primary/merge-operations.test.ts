import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testSeed } from '../../../test/support/seeded-random.js';
import type { Effect } from '../../application/ports/catalog.js';
import type { ImageId, NodeId, ObjectKey, ProjectId, StoreId, UploadId } from '../../base/brand.js';
import type { Image } from '../../domain/image.js';
import { Connection } from '../connection.js';
import { commitGroup } from '../lane/commit-group.js';
import type { LaneOperation } from '../lane/lane-protocol.js';
import { migrate } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { compileEffects } from '../write/compile-effects.js';
import { MERGED_STATEMENTS } from '../write/merged-statements.js';
import { mergeOperations } from './merge-operations.js';

const SEED = testSeed();
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'oriel-merge-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const id = (n: number): ImageId => `00000000-0000-4000-8000-00000000000${n}` as ImageId;
const TEXTS = ['', 'a', "'", '"', '\\', '💿', '\u0000x', '\ud800', '[1]', '{"a":1}', 'null', '1', ' ', '\u2028'];
const text = fc.constantFrom(...TEXTS);

const image = fc.record({
  name: fc.option(text),
  tags: fc.uniqueArray(text, { maxLength: 2 }),
  property: text,
  osHidden: fc.boolean(),
  visibility: fc.constantFrom('public', 'private', 'shared'),
  updatedAtMs: fc.integer({ min: 1, max: 3 }),
  sizeBytes: fc.option(fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER)),
});
type Look = typeof image extends fc.Arbitrary<infer T> ? T : never;

function imageOf(n: number, version: number, look: Look): Image {
  const { name, tags, property, osHidden, visibility, updatedAtMs, sizeBytes } = look;
  const data = {
    sizeBytes: sizeBytes ?? 0,
    virtualSizeBytes: null,
    checksum: null,
    osHashAlgo: 'sha512',
    osHashValue: null,
    locations: [],
    fileMap: null,
  };
  return {
    id: id(n),
    version,
    name,
    owner: 'p' as ProjectId,
    visibility,
    protected: false,
    osHidden,
    diskFormat: 'raw',
    containerFormat: 'bare',
    minDiskGib: 0,
    minRamMib: 0,
    createdAtMs: n,
    updatedAtMs,
    tags: tags.toSorted(),
    properties: new Map([['p', property]]),
    ...(sizeBytes === null ? { status: 'queued' } : { status: 'active', data }),
  };
}

/** An operation on image `n`, at whatever version it then has, or at a wrong one. */
const plan = fc.record({
  kind: fc.constantFrom('update', 'update', 'update', 'delete', 'insert', 'require', 'member', 'upload', 'garbage'),
  n: fc.integer({ min: 0, max: 7 }),
  other: fc.integer({ min: 0, max: 7 }),
  look: image,
  stale: fc.integer({ min: 0, max: 9 }).map((chance) => chance === 0),
  opId: fc.integer({ min: 0, max: 40 }),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

function operationsOf(plans: readonly Plan[]): LaneOperation[] {
  const current = new Map<number, Image>();
  return plans.map(({ kind, n, other, look, stale, opId }): LaneOperation => {
    const known = current.get(n);
    const before = known === undefined ? imageOf(n, 1, look) : { ...known, version: known.version + (stale ? 1 : 0) };
    const after = imageOf(n, before.version + 1, look);
    if (kind === 'update' || kind === 'insert')
      current.set(n, kind === 'update' && known !== undefined ? after : before);
    const steps = compileEffects(effectsOf(known === undefined ? 'insert' : kind, { n, other, before, after }));
    const nonce = `nonce-${opId}`;
    return {
      opId: `op-${opId}`,
      nonce,
      subject: '',
      atMs: 1,
      events: n % 2 === 0 ? null : `event-${n}`,
      steps: steps.map(({ statement, values }) => ({ statement, values })),
    };
  });
}

interface Cast {
  readonly n: number;
  readonly other: number;
  readonly before: Image;
  readonly after: Image;
}

function effectsOf(kind: Plan['kind'], { n, other, before, after }: Cast): Effect[] {
  const garbage = { nodeId: null, storeId: 's' as StoreId, key: `k${n % 2}` as ObjectKey };
  const upload = {
    uploadId: `u${n % 3}` as UploadId,
    imageId: id(n),
    nodeId: 'n' as NodeId,
    storeId: 's' as StoreId,
    key: 'k' as ObjectKey,
    mapKey: 'm' as ObjectKey,
    startedAtMs: 1,
  };
  switch (kind) {
    case 'update':
      return [{ kind: 'update-image', before, after }];
    case 'delete':
      return [{ kind: 'delete-image', before, deletedAtMs: 9, members: [] }];
    case 'insert':
      return [{ kind: 'insert-image', image: before }];
    case 'require':
      return [
        { kind: 'require-image', id: id(other), version: 1 },
        { kind: 'update-image', before, after },
      ];
    case 'member': {
      const member = {
        imageId: id(n),
        memberId: 'q' as ProjectId,
        status: 'accepted',
        createdAtMs: 1,
        updatedAtMs: 1,
      } as const;
      return [{ kind: 'insert-member', member }];
    }
    case 'upload':
      return n % 2 === 0 ? [{ kind: 'insert-upload', upload }] : [{ kind: 'delete-upload', uploadId: upload.uploadId }];
    case 'garbage':
      return [{ kind: other % 2 === 0 ? 'add-garbage' : 'remove-garbage', garbage }];
  }
}

function fresh(name: string): Connection {
  rmSync(join(directory, name), { force: true });
  const connection = new Connection(join(directory, name), 'writer');
  connection.exec('pragma synchronous = off');
  migrate(connection, MIGRATIONS, 0);
  return connection;
}

function contentOf(connection: Connection): unknown {
  const tables = ['ops', 'images', 'image_members', 'uploads', 'garbage', 'guard'].map(
    (table) => [table, '*'] as const,
  );
  const lists = ['created_at', 'updated_at', 'name', 'size'].map((key) => [`listing_${key}`, '*'] as const);
  return [...tables, ...lists].map(([table]) => {
    // Numbers of rows follow the order, which is free.
    const rows = connection.all(`select * from ${table}`);
    const unnumbered = table === 'ops' || table === 'images' ? rows.map((row) => row.slice(1)) : rows;
    return [table, unnumbered.map((row) => JSON.stringify(row)).toSorted()];
  });
}

test('merged or one by one, a group changes the same', () => {
  console.log(`merge-operations: ORIEL_SEED=${SEED}`);
  let mergedCount = 0;
  const group = fc.array(plan, { minLength: 1, maxLength: 14 });
  fc.assert(
    fc.property(group, group, (before, plans) => {
      const operations = operationsOf([...before, ...plans]);
      const settled = operations.slice(0, before.length);
      const grouped = operations.slice(before.length);
      const apart = fresh('apart.db');
      const together = fresh('together.db');
      try {
        for (const connection of [apart, together]) commitGroup(connection, settled, 1);
        const { members, statements } = mergeOperations(grouped, 2);
        mergedCount += members.size;
        const rest = grouped.filter((_, index) => !members.has(index));
        together.exec('begin');
        try {
          for (const { sql, values } of statements) together.run(sql, values);
          together.exec('commit');
          commitGroup(together, rest, 2);
        } catch {
          // What then happens to sqld's batch: nothing is kept, and all are tried one by one.
          together.exec('rollback');
          commitGroup(together, grouped, 2);
        }
        commitGroup(apart, grouped, 2);
        expect(contentOf(together)).toEqual(contentOf(apart));
      } finally {
        apart.close();
        together.close();
      }
    }),
    { numRuns: 60, seed: SEED },
  );
  expect(mergedCount).toBeGreaterThan(100);
});

test('merged statements find their rows by an index', () => {
  const connection = fresh('plans.db');
  for (const [name, sql] of MERGED_STATEMENTS) {
    const plan = connection.all(`explain query plan ${sql}`, '[]').map((row) => String(row[3]));
    const scans = plan.filter((line) => /^SCAN (?!j |t |\()/.test(line));
    expect(scans, `${name}: ${plan.join('; ')}`).toEqual([]);
    // By its whole key: a term alone has as many rows as there are images.
    const listing = plan.filter((line) => line.startsWith('SEARCH listing_'));
    if (name.startsWith('unpost_')) expect(listing).toEqual([expect.stringContaining('id=?')]);
  }
  connection.close();
});
