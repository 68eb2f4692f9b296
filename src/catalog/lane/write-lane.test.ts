import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ServiceError } from '../../base/service-error.js';
import { Connection, integerAt } from '../connection.js';
import { migrate } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import type { Step } from '../write/compile-effects.js';
import { commitGroup } from './commit-group.js';
import { LaneProcessHandle } from './lane-process-handle.js';
import type { LaneOperation, LaneSettings } from './lane-protocol.js';
import type { StartLaneWriter } from './lane-writer.js';
import { WriteLane } from './write-lane.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'oriel-lane-'));
  path = join(directory, 'catalog.db');
});
afterEach(() => rmSync(directory, { recursive: true }));

const SETTINGS = { retentionMs: 86_400_000, pruneEveryMs: 60_000 };
const writerOf =
  (settings: LaneSettings): StartLaneWriter =>
  (listener) =>
    new LaneProcessHandle(settings, listener);
const silent = { warn: () => undefined };
const garbage = (key: string): Step[] => [{ statement: 'addGarbage', values: ['', 'store', key] }];

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

function count(sql: string): number {
  const connection = new Connection(path, 'reader');
  const row = connection.get(sql);
  connection.close();
  return row === undefined ? -1 : integerAt(row, 0);
}

describe('WriteLane', () => {
  test('killed again and again under load loses no acknowledged write and applies none twice', async () => {
    const lane = new WriteLane(writerOf({ path, ...SETTINGS }), silent);
    await lane.open();
    const clients = 16;
    const perClient = 60;
    let acknowledged = 0;
    const client = async (c: number): Promise<void> => {
      for (let k = 0; k < perClient; k += 1) {
        // A bare insert: applied twice, it would fail on its key.
        const steps: Step[] = [{ statement: 'insertUpload', values: [`${c}-${k}`, 'image', 'n', 's', 'k', 'm', k] }];
        const result = await lane.submit(steps, { opId: `${c}-${k}`, subject: '' });
        expect(result.replayed).toBe(false);
        acknowledged += 1;
      }
    };
    const setUp = [{ statement: 'insertImage', values: imageRow('image') }] as const;
    await lane.submit(setUp, { opId: 'image', subject: '' });
    const killer = (async (): Promise<number> => {
      let kills = 0;
      while (kills < 8) {
        const goal = (kills + 1) * 100;
        const pid = lane.pid;
        await until(() => acknowledged >= goal);
        if (pid !== undefined && lane.pid === pid && alive(pid)) process.kill(pid, 'SIGKILL');
        kills += 1;
        await until(() => lane.pid !== pid && lane.pid !== undefined);
      }
      return kills;
    })();
    await Promise.all(Array.from({ length: clients }, async (_, c) => await client(c)));
    expect(await killer).toBe(8);
    expect(acknowledged).toBe(clients * perClient);
    const pid = lane.pid;
    await lane.close();
    expect(pid !== undefined && alive(pid)).toBe(false);
    expect(count('select count(*) from uploads')).toBe(clients * perClient);
    expect(count('select count(*) from ops')).toBe(clients * perClient + 1);
  });

  test('writes what is queued before it closes, and refuses more', async () => {
    const lane = new WriteLane(writerOf({ path, ...SETTINGS }), silent);
    await lane.open();
    const writes = Array.from(
      { length: 300 },
      async (_, k) => await lane.submit(garbage(`g${k}`), { opId: `g${k}`, subject: '' }),
    );
    const closed = lane.close();
    await expect(lane.submit(garbage('late'), { opId: 'late', subject: '' })).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
    });
    await closed;
    await Promise.all(writes);
    expect(count('select count(*) from garbage')).toBe(300);
  });

  test('refuses writes beyond its queue', async () => {
    const lane = new WriteLane(writerOf({ path, ...SETTINGS }), silent);
    await lane.open();
    const writes = Array.from(
      { length: 10_200 },
      async (_, k) =>
        await lane.submit(garbage('g'), { opId: `q${k}`, subject: '' }).then(
          () => 'written',
          (error: unknown) => (error instanceof ServiceError ? error.reason : 'other'),
        ),
    );
    const outcomes = new Set(await Promise.all(writes));
    expect([...outcomes].toSorted()).toEqual(['UNAVAILABLE', 'written']);
    await lane.close();
  });

  test('forgets operations older than it keeps them, but the newest, from which numbers go on', async () => {
    const lane = new WriteLane(writerOf({ path, retentionMs: -1000, pruneEveryMs: 5 }), silent);
    await lane.open();
    await Promise.all(
      Array.from({ length: 1200 }, async (_, k) => await lane.submit(garbage('g'), { opId: `p${k}`, subject: '' })),
    );
    await until(() => count('select count(*) from ops') === 1);
    expect(count('select seq from ops')).toBe(1200);
    await lane.close();
  });

  test('fails to open a file of a newer release or one that is no catalog, and leaves no process', async () => {
    const connection = new Connection(path, 'writer');
    migrate(connection, [...MIGRATIONS, 'create table later (a integer) strict'], 1);
    connection.close();
    const lane = new WriteLane(writerOf({ path, ...SETTINGS }), silent);
    await expect(lane.open()).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
    await lane.close();
    expect(lane.pid).toBeUndefined();
    const nowhere = new WriteLane(writerOf({ path: join(directory, 'no', 'such', 'folder.db'), ...SETTINGS }), silent);
    await expect(nowhere.open()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await nowhere.close();
  });
});

describe('migrate', () => {
  test('applies what is missing once, and refuses a migration that was changed', () => {
    const connection = new Connection(path, 'writer');
    migrate(connection, ['create table a (x integer) strict'], 1);
    migrate(connection, ['create table a (x integer) strict', 'create table b (x integer) strict'], 2);
    expect(connection.all('select version, at from schema_migrations')).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(() => migrate(connection, ['create table c (x integer) strict'], 3)).toThrow(/newer release/);
    const changed = ['create table a (x integer) strict', 'create table c (x integer) strict'];
    expect(() => migrate(connection, changed, 3)).toThrow(/migration 2/);
    connection.close();
  });

  test('keeps nothing of a migration that fails', () => {
    const connection = new Connection(path, 'writer');
    expect(() => migrate(connection, ['create table a (x integer) strict; nonsense'], 1)).toThrow();
    migrate(connection, ['create table a (x integer) strict'], 1);
    connection.close();
  });
});

describe('commitGroup', () => {
  test('answers unavailable for all when the disk is full, and works again when there is space', () => {
    const connection = new Connection(path, 'writer');
    migrate(connection, MIGRATIONS, 1);
    const operation = (opId: string, key: string): LaneOperation => ({
      opId,
      nonce: opId,
      subject: '',
      atMs: 1,
      events: null,
      steps: [{ statement: 'addGarbage', values: ['', 's', key] }],
    });
    const pages = integerAt(connection.get('pragma page_count') ?? [], 0);
    connection.exec(`pragma max_page_count = ${pages}`);
    const group = [operation('small', 'k'), operation('large', 'x'.repeat(100_000))];
    const full = commitGroup(connection, group, 1);
    expect(full.map((answer) => answer.kind)).toEqual(['unavailable', 'unavailable']);
    expect(full[0]).toMatchObject({ message: expect.stringContaining('disk is full') as string });
    connection.exec('pragma max_page_count = 1000000');
    expect(commitGroup(connection, group, 1).map((answer) => answer.kind)).toEqual(['applied', 'applied']);
    expect(commitGroup(connection, group, 2)).toMatchObject([{ kind: 'known', frame: 1 }, { kind: 'known' }]);
    connection.exec('pragma query_only = 1');
    expect(commitGroup(connection, [operation('other', 'k2')], 3)).toMatchObject([{ kind: 'unavailable' }]);
    connection.close();
  });
});

function imageRow(id: string): (string | number | null)[] {
  const empty = Array.from({ length: 25 }, () => null);
  return Object.assign([...empty], {
    0: id,
    1: 1,
    2: 'queued',
    5: 'private',
    6: 0,
    7: 0,
    10: 0,
    11: 0,
    17: 1,
    18: 1,
    22: '[]',
    23: '[]',
    24: '[]',
  });
}
