import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PrimaryGroups } from '../../../test/support/primary-groups.js';
import { startCountingProxy } from '../../../test/support/counting-proxy.js';
import { objects, openReplica, ready, until } from '../../../test/support/replica.js';
import { SQLD_INSTALLED, Sqld } from '../../../test/support/sqld.js';
import { MIGRATIONS } from '../migrations/index.js';
import type { ReplicaCatalog, ReplicaCatalogOptions } from './replica-catalog.js';
import type { ReplicaSource } from './sync-source.js';

let directory: string;
let sqld: Sqld;
let groups: PrimaryGroups;
let catalogs: ReplicaCatalog[] = [];

async function open(name: string, options: Partial<ReplicaCatalogOptions> = {}): Promise<ReplicaCatalog> {
  const catalog = await openReplica(sqld, join(directory, name), options);
  catalogs.push(catalog);
  return catalog;
}

describe.skipIf(!SQLD_INSTALLED)('ReplicaCatalog', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'oriel-replica-'));
    sqld = await Sqld.start(directory);
    await sqld.migrate();
    groups = new PrimaryGroups(sqld);
  });
  afterEach(async () => {
    for (const catalog of catalogs) await catalog.close();
    catalogs = [];
  });
  afterAll(async () => {
    await sqld.close();
    rmSync(directory, { recursive: true });
  });

  test('reads at the position of a write see it', async () => {
    const catalog = await open('follow', { syncIntervalMs: 60_000 });
    const advances: number[] = [];
    await ready(catalog);
    catalog.onAdvance(({ frame }) => advances.push(frame));
    for (let k = 0; k < 50; k += 1) {
      const position = await groups.commit();
      expect(await catalog.read(objects, { atLeast: position })).toBe(groups.count);
      expect(advances.at(-1)).toBe(position.frame);
    }
    expect(catalog.status()).toMatchObject({ ok: true, message: 'ok', position: { ...groups.position, opId: '' } });
    expect(catalog.stalenessMs()).not.toBeNull();
  });

  test('follows writes by itself, and at once when woken', async () => {
    const catalog = await open('interval', { syncIntervalMs: 50 });
    await groups.commit();
    await until(
      async () => await catalog.read(objects).catch(() => -1),
      (count) => count === groups.count,
    );
    const woken = await open('woken', { syncIntervalMs: 60_000 });
    await ready(woken);
    await groups.commit();
    woken.wake();
    await until(
      async () => await woken.read(objects),
      (count) => count === groups.count,
    );
  });

  test('makes no more than a few syncs for a position that cannot come', async () => {
    const counting = await startCountingProxy(Number(new URL(sqld.url).port));
    try {
      const authToken = sqld.token('ro');
      const syncUrl = `http://127.0.0.1:${counting.port}`;
      const source = (): Promise<ReplicaSource> => Promise.resolve({ syncUrl, authToken });
      const catalog = await open('never', { syncIntervalMs: 60_000, source });
      await ready(catalog);
      const bytesOf = async (timeoutMs: number): Promise<number> => {
        const before = counting.bytes();
        await expect(catalog.waitFor({ epoch: 999_999, frame: 1 }, timeoutMs)).rejects.toThrow('expected position');
        return counting.bytes() - before;
      };
      const briefBytes = await bytesOf(500);
      expect(briefBytes).toBeGreaterThan(0);
      // However long it is waited for, the syncs are as many.
      expect(await bytesOf(5000)).toBeLessThan(briefBytes * 4);
    } finally {
      await counting.close();
    }
  });

  test('waits for as long as it was told, and says what it waited for', async () => {
    const catalog = await open('late');
    await ready(catalog);
    const { epoch, frame } = groups.position;
    await expect(catalog.waitFor({ epoch, frame: frame + 1 }, 200)).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringMatching(
        `expected position ${epoch}:${frame + 1}, .* is at ${epoch}:${frame} and is \\d+ ms old`,
      ) as string,
    });
    // A newer epoch has all of the older; an older one has nothing of the newer.
    await catalog.waitFor({ epoch: epoch - 1, frame: frame + 1000 });
    await expect(catalog.waitFor({ epoch: epoch + 1, frame: 0 }, 100)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    const raised = groups.raiseEpoch();
    await catalog.waitFor({ epoch: epoch + 1, frame: 0 });
    await raised;
  });

  test('refuses writes, and everything once it is closed', async () => {
    const catalog = await open('closed');
    await ready(catalog);
    await expect(catalog.write()).rejects.toMatchObject({ reason: 'INTERNAL' });
    const waiting = catalog.waitFor({ epoch: 1000, frame: 0 });
    const closing = catalog.close();
    await expect(waiting).rejects.toMatchObject({ reason: 'UNAVAILABLE', message: 'the catalog is closed' });
    await closing;
    await expect(catalog.read(objects)).rejects.toMatchObject({ message: 'the catalog is closed' });
    expect(catalog.syncPid).toBeUndefined();
  });

  test('serves its file with the primary down, and refuses without one until it can be copied', async () => {
    const before = await open('down');
    await ready(before);
    await before.read(objects, { atLeast: await groups.commit() });
    await before.close();
    const closedAtMs = performance.now();
    await sqld.stop();
    const [catalog, empty] = [await open('down'), await open('empty', { waitTimeoutMs: 200 })];
    expect(await catalog.read(objects)).toBe(groups.count);
    // Counted over the restart; a little less than the clock says, whose steps are whole milliseconds.
    expect(catalog.stalenessMs()).toBeGreaterThan(performance.now() - closedAtMs - 10);
    await expect(catalog.waitFor({ epoch: 1000, frame: 0 }, 300)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(empty.read(objects)).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringMatching(/^this node has no copy of the catalog to read yet: /) as string,
    });
    await until(
      () => catalog.status().message,
      (message) => message.includes('Connection refused'),
    );
    await sqld.start();
    await ready(empty);
    const position = await groups.commit();
    for (const replica of [catalog, empty]) {
      expect(await replica.read(objects, { atLeast: position })).toBe(groups.count);
    }
    expect(catalog.status().message).toBe('ok');
  });

  test('asks the source again until it answers, and when syncs fail', async () => {
    let asked = 0;
    let refused = 0;
    const catalog = await open('source', {
      onTokenRefused: () => {
        refused += 1;
      },
      source: async () => {
        asked += 1;
        if (asked <= 2) throw new Error('the authority is away');
        return await Promise.resolve({
          syncUrl: sqld.url,
          // The third answer is a token that has expired.
          authToken: sqld.token('ro', asked === 3 ? -100 : 3600),
        });
      },
    });
    await ready(catalog);
    expect(asked).toBeGreaterThanOrEqual(4);
    expect(refused).toBe(1);
    expect(await catalog.read(objects)).toBe(groups.count);
  });

  test('reads a later schema, unless that says that it takes a later reader', async () => {
    const catalog = await open('schema', { syncIntervalMs: 50 });
    await ready(catalog);
    const version = MIGRATIONS.length + 1;
    await sqld.batch([{ sql: "insert into schema_migrations values (?, 'x', 0)", args: [version] }]);
    const position = await groups.commit();
    expect(await catalog.read(objects, { atLeast: position })).toBe(groups.count);
    await sqld.batch([{ sql: "insert into meta (name, value) values ('readable_from', ?)", args: [version] }]);
    await until(
      () => catalog.status().ok,
      (ok) => !ok,
    );
    await expect(catalog.read(objects)).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringContaining(`the cluster has ${version}`) as string,
    });
    await sqld.batch([
      { sql: 'delete from schema_migrations where version = ?', args: [version] },
      { sql: "delete from meta where name = 'readable_from'" },
    ]);
    await ready(catalog);
  });

  test('is readable and monotonic while its sync is killed again and again', async () => {
    const catalog = await open('kills', { syncIntervalMs: 20 });
    await ready(catalog);
    let [kills, last, done] = [0, 0, false];
    const killing = (async (): Promise<void> => {
      while (kills < 6) {
        const pid = catalog.syncPid;
        await pause(60 + 40 * (kills % 4));
        if (pid === undefined || catalog.syncPid !== pid) continue;
        process.kill(pid, 'SIGKILL');
        kills += 1;
      }
      done = true;
    })();
    const reading = (async (): Promise<void> => {
      while (!done) {
        const count = await catalog.read(objects);
        expect(count).toBeGreaterThanOrEqual(last);
        last = count;
        await pause(1);
      }
    })();
    // Some groups are of one page, some of a hundred.
    while (!done) {
      await groups.commit('x'.repeat(groups.count % 20 === 0 ? 100_000 : 10));
      await pause(10);
    }
    await Promise.all([killing, reading]);
    await until(
      async () => await catalog.read(objects),
      (count) => count === groups.count,
    );
  });

  test('replaces a sync that hangs', async () => {
    const server = createServer();
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
    const port = await listen(server);
    let hangs = true;
    const catalog = await open('hung', {
      answerTimeoutMs: 4000,
      syncIntervalMs: 100,
      source: async () =>
        await Promise.resolve({
          syncUrl: hangs ? `http://127.0.0.1:${port}` : sqld.url,
          authToken: sqld.token('ro'),
        }),
    });
    await until(
      () => catalog.status().message,
      (message) => message.includes('no answer from the sync process'),
    );
    hangs = false;
    await ready(catalog);
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has an address');
  return address.port;
}
