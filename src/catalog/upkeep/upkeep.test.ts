import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededImage } from '../../../bench/seed-catalog.js';
import type { Effect } from '../../application/ports/catalog.js';
import type { ProjectId } from '../../base/brand.js';
import { Connection } from '../connection.js';
import { openEmbeddedCatalog } from '../embedded-catalog.js';
import type { LaneCatalog } from '../lane-catalog.js';
import { openPrimaryCatalog } from '../primary/open-primary-catalog.js';
import { primaryFolder } from '../primary/primary-folder.js';
import { backUpCatalog } from './backup-catalog.js';
import { findCatalog, singleFile } from './catalog-place.js';
import { restoreCatalog } from './restore-catalog.js';
import { verifyCatalog } from './verify-catalog.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'oriel-upkeep-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const image = (n: number): Effect => ({ kind: 'insert-image', image: seededImage(n) });

async function write(catalog: LaneCatalog, effects: readonly Effect[], name: string): Promise<void> {
  await catalog.write(effects, { opId: name, subject: name });
}

/** Images from `from` on, with a member and a tombstone among the first. */
async function fill(catalog: LaneCatalog, from: number, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, n) => from + n);
  await Promise.all(numbers.map((n) => write(catalog, [image(n)], `image-${n}`)));
  if (from > 0) return;
  const member = { memberId: 'guest' as ProjectId, status: 'accepted', createdAtMs: 1, updatedAtMs: 1 } as const;
  await write(catalog, [{ kind: 'insert-member', member: { imageId: seededImage(0).id, ...member } }], 'member');
  await write(catalog, [{ kind: 'delete-image', before: seededImage(1), deletedAtMs: 9, members: [] }], 'delete');
}

async function has(catalog: LaneCatalog, n: number): Promise<boolean> {
  return await catalog.read((reader) => reader.image(seededImage(n).id) !== undefined);
}

/** Changes a catalog's file behind everybody's back. */
function tamper(file: string, statement: string): void {
  const connection = new Connection(file, 'writer');
  connection.exec('pragma foreign_keys = 0');
  connection.exec(statement);
  connection.close();
}

describe('a backup', () => {
  test('is one moment of a catalog that is being written, whole, and takes no name that is taken', async () => {
    const catalog = await openEmbeddedCatalog({ path: singleFile(directory) });
    await fill(catalog, 0, 200);
    const writing = new AbortController();
    const writer = (async () => {
      for (let n = 200; !writing.signal.aborted; n += 10) await fill(catalog, n, 10);
    })();
    const file = join(directory, 'backup.db');
    const place = findCatalog(directory);
    expect(place.kind).toBe('single');
    const first = backUpCatalog(place, { file, force: false });
    expect(first).toMatchObject({ problems: [], pending: 0 });
    expect(first.images).toBeGreaterThanOrEqual(200);
    expect(() => backUpCatalog(place, { file, force: false })).toThrow(/exists/);
    const before = readFileSync(file);
    await fill(catalog, 100_000, 1);
    expect(backUpCatalog(place, { file, force: true }).images).toBeGreaterThan(first.images);
    expect(readFileSync(file).equals(before)).toBe(false);
    writing.abort();
    await writer;
    await catalog.close();
    expect(readdirSync(directory).filter((name) => name.startsWith('backup'))).toEqual(['backup.db']);
    expect(verifyCatalog(file).problems).toEqual([]);
    expect(readdirSync(directory).filter((name) => name.startsWith('backup'))).toEqual(['backup.db']);
  });
});

describe('verifying', () => {
  test('names what is wrong', async () => {
    const path = singleFile(directory);
    const catalog = await openEmbeddedCatalog({ path });
    await fill(catalog, 0, 60);
    await catalog.close();
    expect(verifyCatalog(path)).toMatchObject({
      problems: [],
      images: 60,
      schemaVersion: expect.any(Number) as number,
    });
    const { id } = seededImage(7);
    const wrong: readonly (readonly [string, RegExp])[] = [
      [`delete from listing_name where id = '${id}'`, new RegExp(`list index does not agree.*${id}`)],
      [`update listing_size set size = size + 1 where id = '${id}'`, new RegExp(`does not agree.*${id}`)],
      [`insert into listing_created_at values (1, 1, 'stray', 0, 0)`, /does not agree.*stray/],
      ["update image_members set image_id = 'none'", /names one of images/],
      [`update images set visibility = 'odd' where id = '${id}'`, /visibility of a stored image/],
      [`update images set status = 'saving', upload_id = 'u' where id = '${id}'`, /saved without an upload/],
      ["update schema_migrations set checksum = 'other' where version = 1", /checksum other/],
      ["insert into schema_migrations values (99, 'x', 1)", /newer release/],
    ];
    for (const [statement, problem] of wrong) {
      const copy = join(directory, `wrong-${wrong.findIndex(([one]) => one === statement)}.db`);
      copyFileSync(path, copy);
      tamper(copy, statement);
      expect(verifyCatalog(copy).problems.join('; ')).toMatch(problem);
    }
    const torn = join(directory, 'torn.db');
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 2048 * 20, 2048 * 40);
    writeFileSync(torn, bytes);
    expect(verifyCatalog(torn).problems.length).toBeGreaterThan(0);
    writeFileSync(torn, 'no database at all, but long enough to be looked at');
    expect(verifyCatalog(torn).problems.join()).toMatch(/not a database/);
    expect(() => verifyCatalog(join(directory, 'none.db'))).toThrow(/no file/);
  });
});

describe('a restore', () => {
  test('of a single node keeps the old catalog, and is refused where it would lose or guess', async () => {
    const path = singleFile(directory);
    const file = join(directory, 'backup.db');
    const first = await openEmbeddedCatalog({ path });
    await fill(first, 0, 5);
    backUpCatalog(findCatalog(directory), { file, force: false });
    await fill(first, 5, 5);
    const { position } = first.status();
    await first.close();

    const unsound = join(directory, 'unsound.db');
    copyFileSync(file, unsound);
    tamper(unsound, 'delete from listing_name');
    const before = statSync(path).ino;
    expect(() => restoreCatalog({ file: unsound, dataDir: directory, as: undefined, nowMs: 1 })).toThrow(/not sound/);
    expect(statSync(path).ino).toBe(before);

    const restored = restoreCatalog({ file, dataDir: directory, as: undefined, nowMs: 1_800_000_000_000 });
    expect(restored).toMatchObject({ as: 'single', epoch: 1_800_000_000_000 });
    const second = await openEmbeddedCatalog({ path });
    expect(second.status().position.epoch).toBeGreaterThan(position.epoch);
    expect([await has(second, 4), await has(second, 5)]).toEqual([true, false]);
    await fill(second, 20, 1);
    await second.close();
    const old = await openEmbeddedCatalog({ path: restored.old ?? '' });
    expect(await has(old, 9)).toBe(true);
    await old.close();

    // Cut off between its two renames: nothing makes an empty catalog of it.
    renameSync(path, `${path}.restored`);
    await expect(openEmbeddedCatalog({ path })).rejects.toThrow(/cut off/);
    expect(existsSync(path)).toBe(false);
    const empty = mkdtempSync(join(directory, 'empty-'));
    expect(() => restoreCatalog({ file, dataDir: empty, as: undefined, nowMs: 1 })).toThrow(/add --as/);
    expect(restoreCatalog({ file, dataDir: empty, as: 'single', nowMs: 1 })).toMatchObject({ old: undefined });
  });

  test('of a primary, backed up while it wrote, leaves its log for replicas behind', async () => {
    const file = join(directory, 'backup.db');
    const first = await openPrimaryCatalog({ dataDir: directory, sqldPort: 0 });
    await fill(first.catalog, 0, 40);
    const backup = backUpCatalog(findCatalog(directory), { file, force: false });
    expect(backup).toMatchObject({ images: 40, position: { epoch: 2 } });
    await fill(first.catalog, 40, 40);
    await first.close();
    const { sqld, catalog } = primaryFolder(directory);
    const restored = restoreCatalog({ file, dataDir: directory, as: undefined, nowMs: Date.now() });
    expect(restored.as).toBe('primary');
    expect(readdirSync(sqld)).toEqual(['dbs']);
    expect(readdirSync(join(sqld, 'dbs/default'))).toEqual(['data']);
    expect(existsSync(join(restored.old ?? '', 'dbs/default/data'))).toBe(true);
    const second = await openPrimaryCatalog({ dataDir: directory, sqldPort: 0 });
    expect(second.catalog.status().position.epoch).toBeGreaterThan(restored.epoch);
    expect([await has(second.catalog, 39), await has(second.catalog, 40)]).toEqual([true, false]);
    await fill(second.catalog, 100, 1);
    await second.close();
    expect(verifyCatalog(catalog).problems).toEqual([]);

    // Cut off between its last two renames, in a folder that was an edge's once: it is run again, as what it was.
    renameSync(sqld, `${sqld}.restored`);
    mkdirSync(join(directory, 'replica'));
    writeFileSync(join(directory, 'replica/replica.json'), JSON.stringify({ generation: 1, position: { epoch: 7 } }));
    const again = restoreCatalog({ file, dataDir: directory, as: undefined, nowMs: 1 });
    expect(again.as).toBe('primary');
    expect(again.epoch).toBeGreaterThan(restored.epoch);
  });
});
