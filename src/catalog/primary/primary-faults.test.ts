/** What a primary promises while its sqld, or itself, is killed or stopped. Every process here is one that a test started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../../../test/support/eventually.js';
import { rawHrana } from '../../../test/support/raw-hrana.js';
import { SeededRandom, testSeed } from '../../../test/support/seeded-random.js';
import type { Effect } from '../../application/ports/catalog.js';
import type { ImageId, ObjectKey, ProjectId, StoreId } from '../../base/brand.js';
import { Connection, integerAt } from '../connection.js';
import { AccessTokens } from './access-tokens.js';
import { openPrimaryCatalog, type PrimaryCatalog, type PrimaryCatalogOptions } from './open-primary-catalog.js';
import { primaryFolder } from './primary-folder.js';

const KILLS = 5;
/** Far below what is used in earnest, so that a test need not wait. */
const IMPATIENT = { watchTimes: { suspectAfterMs: 200, lookEveryMs: 50 }, graceMs: 300 };

let dataDir: string;
let primary: PrimaryCatalog | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'oriel-faults-'));
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

/** An insert that fails on its key when it is applied twice. */
function insertImage(id: string): Effect {
  const image = {
    id: id as ImageId,
    version: 1,
    status: 'queued',
    name: id,
    owner: 'p' as ProjectId,
    visibility: 'private',
    protected: false,
    osHidden: false,
    diskFormat: 'raw',
    containerFormat: 'bare',
    minDiskGib: 0,
    minRamMib: 0,
    createdAtMs: 1,
    updatedAtMs: 1,
    tags: [],
    properties: new Map(),
  } as const;
  return { kind: 'insert-image', image };
}

function count(table: string): number {
  const connection = new Connection(primaryFolder(dataDir).catalog, 'reader');
  const row = connection.get(`select count(*) from ${table}`);
  connection.close();
  return integerAt(row ?? [], 0);
}

function alive(pid: number): boolean {
  try {
    // A zombie, whose parent has not asked for it yet, has no arguments.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
  } catch {
    return false;
  }
}

async function ends(pid: number): Promise<void> {
  await eventually(
    async () => await Promise.resolve(alive(pid)),
    (lives) => !lives,
  );
}

/** The processes of sqld on a folder. */
function serversOf(folder: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => argumentsOf(pid).includes(folder));
}

function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

describe('sqld', () => {
  test(`killed ${KILLS} times under load loses no acknowledged write and applies none twice`, async () => {
    const random = new SeededRandom(testSeed());
    console.log(`primary-faults: ORIEL_SEED=${random.seed}`);
    const opened = await open();
    const { catalog } = opened;
    const first = catalog.status().position.epoch;
    const acknowledged = new Set<string>();
    let done = false;
    const client = async (c: number): Promise<void> => {
      for (let k = 0; !done; k += 1) {
        const id = `00000000-0000-4000-${String(c).padStart(4, '0')}-${String(k).padStart(12, '0')}`;
        const result = await catalog.write([insertImage(id)], { opId: id, subject: id });
        expect(result.replayed).toBe(false);
        // What was acknowledged is visible, also through a reader that was open before the kill.
        expect(await catalog.read((reader) => reader.imageVersion(id as ImageId), { atLeast: result.position })).toBe(
          1,
        );
        acknowledged.add(id);
      }
    };
    const clients = Promise.all(Array.from({ length: 16 }, async (_, c) => await client(c)));
    for (let kill = 0; kill < KILLS; kill += 1) {
      const goal = acknowledged.size + random.between(1, 60);
      await eventually(
        async () => await Promise.resolve(acknowledged.size),
        (size) => size >= goal,
      );
      await sleep(random.between(0, 20));
      const pid = opened.sqldPid;
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      await eventually(
        async () => await Promise.resolve(opened.status().restarts),
        (restarts) => restarts > kill,
      );
    }
    const goal = acknowledged.size + 50;
    await eventually(
      async () => await Promise.resolve(acknowledged.size),
      (size) => size >= goal,
    );
    done = true;
    await clients;
    expect(count('images')).toBe(acknowledged.size);
    expect(count('ops')).toBe(acknowledged.size);
    expect(catalog.status().position.epoch).toBe(first + KILLS);
    expect(await opened.durability()).toBe('strong');
    console.log(`primary-faults: ${acknowledged.size} writes over ${KILLS} kills`);
  });

  test('that is stopped is replaced, and writes are answered again', async () => {
    const opened = await open(IMPATIENT);
    const { catalog, sqldPid } = opened;
    process.kill(sqldPid ?? 0, 'SIGSTOP');
    const { replayed } = await catalog.write([garbage('k')], { opId: 'k', subject: '' });
    expect(replayed).toBe(false);
    expect(opened.status().restarts).toBeGreaterThan(0);
    expect(alive(sqldPid ?? 0)).toBe(false);
  });

  test('that answers reads and no write is replaced', async () => {
    const logged: string[] = [];
    const log = { warn: (facts: object) => void logged.push(JSON.stringify(facts)) };
    const { catalog, syncPort } = await open({ ...IMPATIENT, log });
    const token = AccessTokens.open(primaryFolder(dataDir).keys).mint('rw', 60);
    // A foreign transaction holds the lock for up to five seconds: for so long this is what a wedge looks like.
    expect((await rawHrana(syncPort, token, ['begin immediate'])).status).toBe(200);
    await catalog.write([garbage('k')], { opId: 'k', subject: '' });
    expect(logged.join()).toContain('reads are answered, a write is not');
    expect(count('garbage')).toBe(1);
  });

  test('that ends while nobody writes is started again, in a new epoch', async () => {
    const { catalog, sqldPid } = await open();
    const { epoch } = catalog.status().position;
    process.kill(sqldPid ?? 0, 'SIGTERM');
    await eventually(
      async () => await Promise.resolve(catalog.status()),
      (status) => status.ok && status.position.epoch === epoch + 1,
    );
  });
});

describe('sqld whose process id cannot be noted', () => {
  test('is up again after it ended, and alone', async () => {
    const opened = await open();
    const { sqld } = primaryFolder(dataDir);
    const note = join(sqld, 'sqld.pid');
    rmSync(note);
    // Takes no file in its place.
    mkdirSync(note);
    process.kill(opened.sqldPid ?? 0, 'SIGKILL');
    try {
      await opened.catalog.write([garbage('k')], { opId: 'k', subject: '' });
      expect(serversOf(sqld)).toEqual([opened.sqldPid]);
    } finally {
      rmdirSync(note);
    }
  });
});

describe('a primary that is killed', () => {
  async function startElsewhere(): Promise<{ readonly child: ChildProcess; readonly sqldPid: number }> {
    const code = `
      import { openPrimaryCatalog } from ${JSON.stringify(new URL('./open-primary-catalog.js', import.meta.url).href)};
      const primary = await openPrimaryCatalog({ dataDir: ${JSON.stringify(dataDir)}, sqldPort: 0 });
      const effect = { kind: 'add-garbage', garbage: { nodeId: null, storeId: 's', key: 'k' } };
      await primary.catalog.write([effect], { opId: 'k', subject: 'kept' });
      console.log(primary.sqldPid);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await once(child.stdout, 'data');
    return { child, sqldPid: Number(output) };
  }

  async function opensAgain(epoch: number): Promise<void> {
    const { catalog } = await open();
    expect(catalog.status().position.epoch).toBe(epoch);
    expect(await catalog.read((reader) => reader.operation('k'))).toEqual({ subject: 'kept' });
  }

  test('takes its sqld along', async () => {
    const { child, sqldPid } = await startElsewhere();
    child.kill('SIGKILL');
    await ends(sqldPid);
    await opensAgain(3);
  });

  test('and whose watcher is killed too leaves a sqld that the next primary ends', async () => {
    const { child, sqldPid } = await startElsewhere();
    const children = readFileSync(`/proc/${child.pid ?? 0}/task/${child.pid ?? 0}/children`, 'utf8')
      .trim()
      .split(' ');
    const watchers = children.map(Number).filter((pid) => pid !== sqldPid);
    expect(watchers).toHaveLength(1);
    for (const pid of watchers) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(alive(sqldPid)).toBe(true);
    await opensAgain(3);
    expect(alive(sqldPid)).toBe(false);
  });
});
