/** An authority whose disk is full, and its sqld is killed, or it is started: docs/cluster.md, "Full disks". */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { processesWith } from '../support/processes.js';
import type { RestAnswer, RestClient } from '../support/rest-client.js';
import { canMount, type SmallDisk, smallDisk } from '../support/small-disk.js';

const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const JSON_TYPE = { headers: { 'content-type': 'application/json' } };
/** On a machine that does much else. */
const LIMIT_MS = 60_000;

describe.skipIf(!canMount())('an authority with a full disk', () => {
  let disk: SmallDisk;
  let cluster: TestCluster;

  beforeEach(async () => {
    disk = await smallDisk(32);
    cluster = await startCluster(1, {
      nodeOptions: (node) => (node === 'primary' ? { wrapper: disk.wrapper, args: ['--data', disk.path] } : {}),
    });
  }, 120_000);
  afterEach(async () => {
    await cluster.stop();
    await disk.remove();
  }, 60_000);

  const edge = (): RestClient => {
    const [rest] = cluster.rest;
    if (rest === undefined) throw new Error('no edge');
    return rest;
  };
  // Somebody else than who changes: one of those changes may have been made as the last one, and its caller's reads wait for it.
  const reader = { headers: { 'x-auth-token': 'reader:root:admin' } };
  const readsOf = async (id: string): Promise<number> =>
    (await edge().call('GET', `/v2/images/${id}`, undefined, reader)).status;
  const change = async (name: string): Promise<RestAnswer> => {
    const text = randomBytes(20_000).toString('hex');
    return edge().call('POST', '/v2/images', JSON.stringify({ name, text, ...FORMATS }), JSON_TYPE);
  };
  const changesWork = async (): Promise<void> => {
    await eventually(
      async () => (await change('after')).status,
      (status) => status === 201,
      LIMIT_MS,
    );
  };
  const servers = (): readonly number[] => processesWith(path.join(disk.path, 'sqld'));
  const imageAtTheEdge = async (): Promise<string> => {
    const { id } = await edge().create({ name: 'before', ...FORMATS });
    await eventually(
      () => readsOf(id),
      (status) => status === 200,
      LIMIT_MS,
    );
    return id;
  };

  it('whose sqld is killed: reads go on, changes 503, and they work once there is room', async () => {
    const id = await imageAtTheEdge();
    const [killed = 0, ...more] = servers();
    expect(more).toEqual([]);
    // A file in its place could be truncated and written again without new room.
    rmSync(path.join(disk.inside, 'sqld', 'sqld.pid'));
    const free = disk.fill();
    try {
      process.kill(killed, 'SIGKILL');
      await eventually(
        () => change('at the full disk'),
        ({ status, text }) => status === 503 && text.includes('disk is full'),
        LIMIT_MS,
      );
      // It is tried again and again; none of the tries may stay behind.
      await eventually(
        async () => {
          const { status } = await change('at the full disk');
          expect(status).toBe(503);
          expect(await readsOf(id)).toBe(200);
          expect(servers().length).toBeLessThanOrEqual(1);
          return cluster.primary().stderr().split('sqld is down').length;
        },
        (parts) => parts > 2 || servers().some((pid) => pid !== killed),
        LIMIT_MS,
      );
    } finally {
      free();
    }
    await changesWork();
    expect(await readsOf(id)).toBe(200);
    expect(servers()).toHaveLength(1);
    expect(servers()).not.toContain(killed);
  }, 180_000);

  it('that is started says why it does not start, and starts once there is room', async () => {
    const id = await imageAtTheEdge();
    const free = disk.fill();
    try {
      await cluster.killPrimary();
      await eventually(
        () => Promise.resolve(servers()),
        (left) => left.length === 0,
        LIMIT_MS,
      );
      // What their end left room for.
      const freeMore = disk.fill();
      await expect(cluster.startPrimary()).rejects.toThrow(/the node ended \(1\)[^]*disk is full/);
      freeMore();
      expect(servers()).toEqual([]);
      expect(await readsOf(id)).toBe(200);
    } finally {
      free();
    }
    await cluster.startPrimary();
    await changesWork();
    expect(await readsOf(id)).toBe(200);
  }, 180_000);
});
