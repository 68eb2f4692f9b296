import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PrimaryGroups } from '../../../test/support/primary-groups.js';
import { objects, openReplica, ready, until } from '../../../test/support/replica.js';
import { SeededRandom, testSeed } from '../../../test/support/seeded-random.js';
import { SQLD_INSTALLED, Sqld } from '../../../test/support/sqld.js';
import { Connection, textAt } from '../connection.js';
import type { ReplicaCatalog } from './replica-catalog.js';

const random = new SeededRandom(testSeed());
console.log(`copy-keeper: ORIEL_SEED=${random.seed}`);

let directory: string;
let sqld: Sqld;
let groups: PrimaryGroups;
let catalogs: ReplicaCatalog[] = [];
let warnings: string[] = [];
let names = 0;

async function open(folder: string): Promise<ReplicaCatalog> {
  const catalog = await openReplica(sqld, folder, { syncIntervalMs: 50, warnings });
  catalogs.push(catalog);
  return catalog;
}

/** A new folder with a replica that was closed a few groups ago. */
function filled(): string {
  names += 1;
  const folder = join(directory, `replica-${names}`);
  cpSync(join(directory, 'template'), folder, { recursive: true });
  return folder;
}

const generations = (folder: string): string[] => readdirSync(folder).filter((name) => /^replica\.\d+\.db$/.test(name));

function generationOf(folder: string): unknown {
  return (JSON.parse(readFileSync(join(folder, 'replica.json'), 'utf8')) as { generation: unknown }).generation;
}

function changeState(folder: string, change: object): void {
  const path = join(folder, 'replica.json');
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...change }));
}

/** Waits until the closed handles of this process have been collected: the last one moves the log into the file. */
async function collected(wal: string): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await until(
    () => {
      collect();
      return existsSync(wal);
    },
    (there) => !there,
  );
}

/** Overwrites most pages of the file but the first, which would be noticed at once. */
function damage(path: string): void {
  const pages = Math.floor(statSync(path).size / 4096);
  expect(pages).toBeGreaterThan(100);
  const file = openSync(path, 'r+');
  for (let page = 1; page < pages; page += 1) {
    if (random.next() < 0.7) writeSync(file, random.bytes(4096), 0, 4096, page * 4096);
  }
  closeSync(file);
}

/** Kills the check of the file as soon as there is one: every child that this process starts is there before it can answer. */
async function killCheck(path: string): Promise<void> {
  for (;;) {
    const pids = readdirSync('/proc/self/task').flatMap((task) =>
      readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    );
    const check = pids.find((pid) => commandOf(pid).join(' ').endsWith(`check.process.js ${path}`));
    if (check !== undefined) {
      process.kill(Number(check), 'SIGKILL');
      return;
    }
    await pause(1);
  }
}

function commandOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

/** Reads all the time until it is stopped; counts answers and refusals, which must say UNAVAILABLE. */
function reading(catalog: ReplicaCatalog): { stop: () => Promise<{ answers: number; refusals: number }> } {
  const stopping = new AbortController();
  const run = (async () => {
    let [answers, refusals, last] = [0, 0, 0];
    while (!stopping.signal.aborted) {
      try {
        const count = await catalog.read((reader) => {
          for (let k = 1; k < 40; k += 10) expect(reader.operation(`op-${k}`)?.subject.length).toBeGreaterThan(40_000);
          return objects(reader);
        });
        expect(count).toBeGreaterThanOrEqual(last);
        last = count;
        answers += 1;
      } catch (error) {
        expect(error).toMatchObject({ reason: 'UNAVAILABLE' });
        refusals += 1;
      }
      await pause(5);
    }
    return { answers, refusals };
  })();
  return {
    stop: async () => {
      stopping.abort();
      return await run;
    },
  };
}

/** Writes on until the replica has it, and compares every row with the primary's. */
async function expectEqual(catalog: ReplicaCatalog, folder: string, generation: number): Promise<void> {
  const position = await groups.commit();
  await catalog.waitFor(position, 60_000);
  expect(await catalog.read(objects)).toBe(groups.count);
  expect(generationOf(folder)).toBe(generation);
  await until(
    () => generations(folder),
    (found) => found.length === 1 && found[0] === `replica.${generation}.db`,
  );
  const sql = "select group_concat(op_id || frame || length(subject), ',') from (select * from ops order by seq)";
  const connection = new Connection(join(folder, `replica.${generation}.db`), 'reader');
  try {
    expect(connection.all(sql).map((row) => textAt(row, 0))).toEqual((await sqld.rows(sql))[0]);
    expect(connection.get('pragma integrity_check')).toEqual(['ok']);
  } finally {
    connection.close();
  }
}

describe.skipIf(!SQLD_INSTALLED)('CopyKeeper', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'oriel-copies-'));
    sqld = await Sqld.start(directory);
    await sqld.migrate();
    groups = new PrimaryGroups(sqld);
    // Over a thousand pages: the sync then moves its log into the file.
    for (let k = 0; k < 60; k += 1) await groups.commit('x'.repeat(random.between(50_000, 150_000)));
    const template = await open(join(directory, 'template'));
    await template.waitFor(groups.position, 60_000);
    await template.close();
    await collected(join(directory, 'template/replica.1.db-wal'));
    warnings = [];
  });
  afterEach(async () => {
    for (const catalog of catalogs) await catalog.close();
    catalogs = [];
    warnings = [];
  });
  afterAll(async () => {
    await sqld.close();
    rmSync(directory, { recursive: true });
  });

  test('goes on with the copy that it has', async () => {
    const folder = filled();
    const catalog = await open(folder);
    expect(await catalog.read(objects)).toBe(groups.count);
    await expectEqual(catalog, folder, 1);
    expect(warnings).toEqual([]);
  });

  test('copies again what was damaged while the node was stopped', async () => {
    const folder = filled();
    damage(join(folder, 'replica.1.db'));
    const catalog = await open(folder);
    const reads = reading(catalog);
    await until(
      () => generationOf(folder),
      (generation) => generation === 2,
    );
    await expectEqual(catalog, folder, 2);
    await reads.stop();
  });

  test('copies again what lost the end of its log while the node was stopped', async () => {
    const folder = filled();
    // SQLite leaves out what follows a damaged frame of the log, without a word.
    changeState(folder, { position: { epoch: 1, frame: 1_000_000 } });
    const catalog = await open(folder);
    expect(await catalog.read(objects)).toBeGreaterThan(50);
    await until(
      () => generationOf(folder),
      (generation) => generation === 2,
    );
    await expectEqual(catalog, folder, 2);
    expect(warnings.join('\n')).toMatch(/it was at 1:1000000 and is at 1:\d+/);
  });

  test('copies again what is no database any more', async () => {
    const folder = filled();
    const file = openSync(join(folder, 'replica.1.db'), 'r+');
    writeSync(file, random.bytes(4096));
    closeSync(file);
    const catalog = await open(folder);
    await ready(catalog);
    await expectEqual(catalog, folder, 2);
  });

  test('copies again what is damaged while it runs, when a read finds it', async () => {
    const folder = filled();
    const catalog = await open(folder);
    await catalog.waitFor(await groups.commit(), 60_000);
    damage(join(folder, 'replica.1.db'));
    const reads = reading(catalog);
    await until(
      () => generationOf(folder),
      (generation) => generation === 2,
    );
    await expectEqual(catalog, folder, 2);
    await reads.stop();
  });

  test.each(['', '-client_wal_index'])('copies again beside it when the file "…db%s" is removed', async (suffix) => {
    const folder = filled();
    const catalog = await open(folder);
    await ready(catalog);
    const reads = reading(catalog);
    rmSync(join(folder, `replica.1.db${suffix}`));
    await until(
      () => generationOf(folder),
      (generation) => generation === 2,
    );
    await expectEqual(catalog, folder, 2);
    expect(await reads.stop()).toMatchObject({ refusals: 0 });
    await catalog.close();
    // And when that happens while it is stopped.
    rmSync(join(folder, `replica.2.db${suffix}`));
    const again = await open(folder);
    await ready(again);
    await until(
      () => generationOf(folder),
      (generation) => generation === 3,
    );
    await expectEqual(again, folder, 3);
  });

  test('waits for a copy that cannot be opened, and copies nothing meanwhile', async () => {
    const folder = filled();
    const shm = join(folder, 'replica.1.db-shm');
    rmSync(shm, { force: true });
    // SQLite answers SQLITE_CANTOPEN, as it does without a descriptor or the right to it.
    symlinkSync(shm, shm);
    await sqld.stop();
    const catalog = await open(folder);
    await expect(catalog.read(objects)).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringContaining('cannot be opened, and is tried again each second: unable to open') as string,
    });
    expect(generations(folder)).toEqual(['replica.1.db']);
    rmSync(shm);
    await ready(catalog);
    expect(await catalog.read(objects)).toBeGreaterThan(50);
    await sqld.start();
    await expectEqual(catalog, folder, 1);
  });

  test('keeps what it has for as long as there is no other, in whatever condition', async () => {
    const folder = filled();
    const file = openSync(join(folder, 'replica.1.db'), 'r+');
    writeSync(file, random.bytes(4096));
    closeSync(file);
    await sqld.stop();
    const catalog = await open(folder);
    await until(
      () => catalog.status().message,
      (message) => message.includes('Connection refused'),
    );
    await catalog.close();
    expect(generations(folder)).toContain('replica.1.db');
    await sqld.start();
    const again = await open(folder);
    await ready(again);
    expect(await again.read(objects)).toBe(groups.count);
    await until(
      () => generations(folder),
      (found) => found.length === 1 && found[0] !== 'replica.1.db',
    );
  });

  test('uses a new copy that cannot be noted, and keeps the one of before until it is', async () => {
    const folder = filled();
    // Where the next state is written to.
    mkdirSync(join(folder, 'replica.json.new'));
    damage(join(folder, 'replica.1.db'));
    const catalog = await open(folder);
    const full = (): Promise<number> => catalog.read(objects).catch(() => -1);
    await until(full, (count) => count === groups.count);
    await until(
      () => catalog.status().message,
      (message) => message === 'ok',
    );
    const position = await groups.commit();
    await catalog.waitFor(position, 60_000);
    expect(generationOf(folder)).toBe(1);
    expect(generations(folder)).toEqual(['replica.1.db', 'replica.2.db']);
    expect(warnings.filter((line) => line.includes('not noted'))).toHaveLength(1);
    rmdirSync(join(folder, 'replica.json.new'));
    await until(
      () => generationOf(folder),
      (generation) => generation === 2,
    );
    await expectEqual(catalog, folder, 2);
  });

  test('condemns no copy whose check could not be made, and checks it again', async () => {
    const folder = filled();
    const catalog = await open(folder);
    await killCheck(join(folder, 'replica.1.db'));
    await until(
      () => warnings.join('\n'),
      (text) => text.includes('could not be checked'),
    );
    expect(warnings.join('\n')).toContain('SIGKILL');
    await killCheck(join(folder, 'replica.1.db'));
    await expectEqual(catalog, folder, 1);
  });

  test('checks a new copy again when its check could not be made', async () => {
    const folder = filled();
    rmSync(join(folder, 'replica.1.db'));
    const catalog = await open(folder);
    await killCheck(join(folder, 'replica.2.db'));
    await until(
      () => catalog.status().message,
      (message) => message.includes('a new copy is there, but could not be checked yet'),
    );
    await ready(catalog);
    await expectEqual(catalog, folder, 2);
  });

  test('goes on and copies again when its folder is removed and the sync fails', async () => {
    const folder = filled();
    const catalog = await open(folder);
    await ready(catalog);
    const reads = reading(catalog);
    rmSync(folder, { recursive: true });
    // It cannot be started again without the folder, should it not have found out before.
    const { syncPid } = catalog;
    if (syncPid !== undefined) process.kill(syncPid, 'SIGKILL');
    await until(
      () => existsSync(join(folder, 'replica.json')) && generationOf(folder),
      (generation) => generation === 2,
    );
    await expectEqual(catalog, folder, 2);
    expect(await reads.stop()).toMatchObject({ refusals: 0 });
  });

  test('is equal after the primary was killed and began a new log', async () => {
    const folder = filled();
    const catalog = await open(folder);
    await ready(catalog);
    const reads = reading(catalog);
    for (let k = 0; k < 2; k += 1) {
      await groups.commit();
      await sqld.stop('SIGKILL');
      await sqld.start();
      const position = await groups.raiseEpoch();
      await catalog.waitFor(position, 60_000);
    }
    expect(await reads.stop()).toMatchObject({ refusals: 0 });
    await expectEqual(catalog, folder, 1);
  });

  test('copies again, loudly, when the primary went back in its history', async () => {
    const folder = filled();
    const catalog = await open(folder);
    await catalog.waitFor(await groups.raiseEpoch(5), 60_000);
    // What a restore does that forgets the epoch.
    const { epoch: lower } = await groups.raiseEpoch(-3);
    // Until the copy is changed, its higher epoch counts as newer than any position of the lower one.
    await until(
      () => catalog.status().position.epoch,
      (epoch) => epoch === lower,
    );
    await expectEqual(catalog, folder, 2);
    expect(warnings.join('\n')).toContain('went back in its history');
    expect(catalog.status().message).toBe('ok');
  });

  test('begins anew when its state is unreadable, and leaves nothing of before', async () => {
    const folder = filled();
    writeFileSync(join(folder, 'replica.json'), '{"generation":');
    const catalog = await open(folder);
    await ready(catalog);
    await expectEqual(catalog, folder, 2);
    expect(existsSync(join(folder, 'replica.1.db-client_wal_index'))).toBe(false);
  });
});
