import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededImage } from '../../../bench/seed-catalog.js';
import { eventually } from '../../../test/support/eventually.js';
import type { Effect } from '../../application/ports/catalog.js';
import type { NodeId, ObjectKey, ProjectId, StoreId, UploadId } from '../../base/brand.js';
import { Connection } from '../connection.js';
import { openEmbeddedCatalog } from '../embedded-catalog.js';
import { migrate } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { adoptEmbeddedCatalog } from './adopt-embedded.js';
import { openPrimaryCatalog } from './open-primary-catalog.js';
import { primaryFolder } from './primary-folder.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'oriel-adopt-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A catalog with rows in every table, whose last writes are in its log: its process was killed. */
async function embeddedCatalog(path: string): Promise<void> {
  const catalog = await openEmbeddedCatalog({ path });
  const effects = Array.from({ length: 60 }, (_, n): Effect => ({ kind: 'insert-image', image: seededImage(n) }));
  const [first, second] = [seededImage(0), seededImage(1)];
  effects.push(
    { kind: 'delete-image', before: second, deletedAtMs: 9, members: [] },
    { kind: 'add-garbage', garbage: { nodeId: null, storeId: 's' as StoreId, key: 'k' as ObjectKey } },
    { kind: 'put-work', work: { nodeId: 'n' as NodeId, kind: 'hash', imageId: first.id, candidate: null } },
    {
      kind: 'insert-member',
      member: { imageId: first.id, memberId: 'q' as ProjectId, status: 'accepted', createdAtMs: 1, updatedAtMs: 1 },
    },
    {
      kind: 'insert-upload',
      upload: {
        uploadId: 'u' as UploadId,
        imageId: first.id,
        nodeId: 'n' as NodeId,
        storeId: 's' as StoreId,
        key: 'k' as ObjectKey,
        mapKey: 'm' as ObjectKey,
        startedAtMs: 1,
      },
    },
  );
  for (const [n, effect] of effects.entries()) await catalog.write([effect], { opId: `op-${n}`, subject: `s-${n}` });
  const copy = `${path}.killed`;
  // What a kill leaves: the file and its log, with nothing moved from one to the other.
  for (const part of ['', '-wal']) copyFileSync(path + part, copy + part);
  await catalog.close();
  for (const part of ['', '-wal', '-shm']) rmSync(path + part, { force: true });
  for (const part of ['', '-wal']) copyFileSync(copy + part, path + part);
}

/** An authority starts an epoch of its own, and gives the catalog its number. */
const EARLIER_EPOCHS: Readonly<Record<string, string>> = {
  meta: "where name not in ('epoch', 'catalog_id')",
  feed_epochs: 'where epoch = 1',
};

function contentOf(path: string): Record<string, readonly unknown[]> {
  const connection = new Connection(path, 'reader');
  const tables = connection
    .all("select name from sqlite_schema where type = 'table' order by name")
    .map(([name]) => String(name));
  const content = tables.map((table) => {
    const where = EARLIER_EPOCHS[table] ?? '';
    return [
      table,
      connection
        .all(`select * from ${table} ${where}`)
        .map((row) => JSON.stringify(row))
        .toSorted(),
    ] as const;
  });
  connection.close();
  return Object.fromEntries(content);
}

function hashes(path: string): string[] {
  return ['', '-wal'].map((part) =>
    createHash('sha256')
      .update(readFileSync(path + part))
      .digest('hex'),
  );
}

test('an adopted catalog has every row of the file, which is as it was, and can be a single node again', async () => {
  const from = join(directory, 'catalog.db');
  await embeddedCatalog(from);
  const before = hashes(from);
  const dataDir = join(directory, 'primary');
  adoptEmbeddedCatalog({ from, dataDir });
  expect(hashes(from)).toEqual(before);
  expect(readdirSync(directory).toSorted()).not.toContain('catalog.db-shm');
  expect(existsSync(join(dataDir, 'catalog.new'))).toBe(false);
  expect(() => adoptEmbeddedCatalog({ from, dataDir })).toThrow(/without a catalog/);

  const primary = await openPrimaryCatalog({ dataDir, sqldPort: 0 });
  const { catalog } = primary;
  const file = primaryFolder(dataDir).catalog;
  const wanted = contentOf(from);
  await eventually(
    async () => await Promise.resolve(contentOf(file)),
    (found) => JSON.stringify(found) === JSON.stringify(wanted),
  );
  // Nothing stands in `guard` ever, and a single node has no `nodes`.
  expect(Object.values(wanted).filter((rows) => rows.length === 0).length).toBe(2);
  expect(catalog.status().position).toMatchObject({ epoch: 2 });
  await catalog.write([{ kind: 'insert-image', image: seededImage(100) }], { opId: 'next', subject: '' });
  await primary.close();

  const single = join(directory, 'single.db');
  for (const part of ['', '-wal']) if (existsSync(file + part)) copyFileSync(file + part, single + part);
  const again = await openEmbeddedCatalog({ path: single });
  expect(await again.read((reader) => reader.image(seededImage(100).id))).toMatchObject({ version: 1 });
  await again.write([{ kind: 'insert-image', image: seededImage(101) }], { opId: 'last', subject: '' });
  await again.close();
});

test('a file that is no catalog, or of a newer release, is not adopted and leaves nothing', () => {
  const dataDir = join(directory, 'primary');
  const other = join(directory, 'other');
  expect(() => adoptEmbeddedCatalog({ from: other, dataDir })).toThrow(/there is none/);
  writeFileSync(other, 'no database');
  expect(() => adoptEmbeddedCatalog({ from: other, dataDir })).toThrow(/this is none/);
  const newer = join(directory, 'newer.db');
  const connection = new Connection(newer, 'writer');
  migrate(connection, [...MIGRATIONS, 'create table later (a integer) strict'], 1);
  connection.close();
  expect(() => adoptEmbeddedCatalog({ from: newer, dataDir })).toThrow(/newer release/);
  expect(existsSync(primaryFolder(dataDir).catalog)).toBe(false);
  expect(existsSync(join(dataDir, 'catalog.new'))).toBe(false);
});
