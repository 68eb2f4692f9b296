/**
 * Faults of disks in a cluster: what is stated in docs/cluster.md of a full disk at an edge and at the authority, of a damaged
 * copy, and of an edge that is started again while it is cut off. The disks are small file systems in memory.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { primaryRows, replicaRows } from '../support/catalog-rows.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { NodeOptions } from '../support/node.js';
import type { RestAnswer, RestClient } from '../support/rest-client.js';
import { canMount, type SmallDisk, smallDisk } from '../support/small-disk.js';

const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const JSON_TYPE = { headers: { 'content-type': 'application/json' } };

const at = (cluster: TestCluster, index: number): RestClient => {
  const client = cluster.rest[index];
  if (client === undefined) throw new Error(`no edge ${index}`);
  return client;
};

/** Has a node keep its data there. */
function on(disk: SmallDisk): Pick<NodeOptions, 'args' | 'wrapper'> {
  return { wrapper: disk.wrapper, args: ['--data', disk.path] };
}

/** Makes an image whose row takes some room. */
function createBig(rest: RestClient, name: string): Promise<RestAnswer> {
  const text = randomBytes(20_000).toString('hex');
  return rest.call('POST', '/v2/images', JSON.stringify({ name, text, ...FORMATS }), JSON_TYPE);
}

describe.skipIf(!canMount())('an edge that is started on a full disk', () => {
  let disk: SmallDisk;
  let cluster: TestCluster;

  beforeAll(async () => {
    disk = await smallDisk(32);
    cluster = await startCluster(1, { nodeOptions: (node) => (node === 0 ? on(disk) : {}) });
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    await disk.remove();
  }, 60_000);

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'after %s answers reads, says why its copy is old, and catches up',
    async (how) => {
      const { id } = await at(cluster, 0).create({ name: how, ...FORMATS });
      const reads = async (): Promise<RestAnswer> => at(cluster, 0).call('GET', `/v2/images/${id}`);
      await eventually(reads, ({ status }) => status === 200);
      const free = disk.fill();
      try {
        await cluster.edges[0]?.kill(how);
        // What the end of the node left room for.
        const freeMore = disk.fill();
        await cluster.startEdge(0);
        expect((await reads()).status).toBe(200);
        await eventually(
          async () => (await at(cluster, 0).call('GET', '/readyz')).text,
          (text) => text.includes('its disk is full'),
        );
        freeMore();
      } finally {
        free();
      }
      await eventually(reads, ({ headers }) => Number(headers.get('oriel-staleness-ms')) < 3000);
      expect((await at(cluster, 0).create({ name: 'after', ...FORMATS })).id).toBeDefined();
    },
  );

  it.each(['SIGKILL', 'SIGTERM'] as const)(
    'after %s, and without the authority, keeps its copy, and reads it at once or when there is room',
    async (how) => {
      const { id } = await at(cluster, 0).create({ name: how, ...FORMATS });
      const reads = async (): Promise<RestAnswer> => at(cluster, 0).call('GET', `/v2/images/${id}`);
      await eventually(reads, ({ status }) => status === 200);
      await cluster.killPrimary();
      const before = copiesIn(disk.inside);
      const free = disk.fill();
      try {
        await cluster.edges[0]?.kill(how);
        await disk.left();
        // An end that closes every handle removes it; SQLite then needs room to open the copy.
        for (const copy of before) rmSync(path.join(disk.inside, 'replica', `${copy}-shm`), { force: true });
        const freeMore = disk.fill();
        await cluster.startEdge(0);
        // At once where SQLite finds room for its index after all.
        const first = await reads();
        if (first.status !== 200)
          expect([first.status, first.text]).toEqual([503, expect.stringContaining('cannot be opened')]);
        expect(copiesIn(disk.inside)).toEqual(before);
        freeMore();
      } finally {
        free();
      }
      await eventually(reads, ({ status }) => status === 200);
      await cluster.startPrimary();
      await eventually(reads, ({ headers }) => Number(headers.get('oriel-staleness-ms')) < 3000);
      expect(copiesIn(disk.inside)).toEqual(before);
    },
  );
});

describe.skipIf(!canMount())('a full disk in a cluster', () => {
  let disks: { readonly edge: SmallDisk; readonly authority: SmallDisk };
  let cluster: TestCluster;

  beforeAll(async () => {
    disks = { edge: await smallDisk(32), authority: await smallDisk(32) };
    cluster = await startCluster(2, {
      nodeOptions: (node) => (node === 1 ? {} : on(node === 0 ? disks.edge : disks.authority)),
    });
  }, 120_000);
  afterAll(async () => {
    await cluster.stop();
    await Promise.all([disks.edge.remove(), disks.authority.remove()]);
  }, 60_000);

  it('of an edge: it reads on, says how old its copy is and why, and catches up once there is room', async () => {
    const edge = cluster.edges[0];
    if (edge === undefined) throw new Error('no edge');
    const { id } = await at(cluster, 1).create({ name: 'before', ...FORMATS });
    await eventually(
      async () => (await at(cluster, 0).call('GET', `/v2/images/${id}`)).status,
      (status) => status === 200,
    );
    const free = disks.edge.fill();
    try {
      // The log of the copy has no room for these.
      for (let index = 0; index < 20; index += 1)
        expect((await createBig(at(cluster, 1), `big-${index}`)).status).toBe(201);
      const old = await eventually(
        async () => at(cluster, 0).call('GET', `/v2/images/${id}`),
        ({ status, headers }) => status === 200 && Number(headers.get('oriel-staleness-ms')) > 3000,
      );
      expect(old.status).toBe(200);
      expect((await at(cluster, 0).call('GET', '/readyz')).text).toContain('its disk is full');
      expect(edge.stderr()).toContain('its disk is full');
    } finally {
      free();
    }
    await eventually(
      async () => (await at(cluster, 0).list('?limit=100')).length,
      (count) => count >= 21,
    );
    await eventually(
      async () => Number((await at(cluster, 0).call('GET', '/v2/images')).headers.get('oriel-staleness-ms')),
      (age) => age < 3000,
    );
  }, 60_000);

  it('of the authority: changes answer 503 and why, reads go on, and changes work once there is room', async () => {
    const free = disks.authority.fill();
    const acked: string[] = [];
    const before = childrenOf(cluster.primary().pid);
    try {
      const refused = await eventually(
        async () => {
          const answer = await createBig(at(cluster, 1), 'at the full authority');
          if (answer.status === 201) acked.push((answer.json() as { readonly id: string }).id);
          return answer;
        },
        ({ status }) => status !== 201,
      );
      // Again and again: none of these may be there afterwards.
      for (let index = 0; index < 5; index += 1)
        expect((await createBig(at(cluster, 1), 'at the full authority')).status).toBe(503);
      expect(refused.status).toBe(503);
      expect(refused.text).toContain('disk is full');
      expect((await at(cluster, 1).list('?limit=100')).length).toBeGreaterThan(20);
    } finally {
      free();
    }
    await eventually(
      async () => (await createBig(at(cluster, 1), 'after')).status,
      (status) => status === 201,
    );
    const kept = await at(cluster, 1).list(`?name=${encodeURIComponent('at the full authority')}`);
    expect(kept.map(({ id }) => id).sort()).toEqual(acked.sort());
    expect(childrenOf(cluster.primary().pid)).toEqual(before);
  }, 60_000);
});

describe('an edge that starts again', () => {
  let cluster: TestCluster;
  const MAX_STALENESS_S = 3;

  beforeAll(async () => {
    cluster = await startCluster(1, {
      proxied: true,
      nodeOptions: (node) => (node === 0 ? { env: { ORIEL_CATALOG_MAX_STALENESS: `${MAX_STALENESS_S}s` } } : {}),
    });
    for (let index = 0; index < 20; index += 1) await createBig(at(cluster, 0), `image-${index}`);
  }, 120_000);
  afterAll(() => cluster.stop(), 60_000);

  const listed = async (query = ''): Promise<number> => (await at(cluster, 0).call('GET', `/v2/images${query}`)).status;

  it('with a damaged copy makes another, and serves', async () => {
    const folder = `${cluster.folder}/site0`;
    const [before = ''] = copiesIn(folder);
    await cluster.killEdge(0);
    // The log holds whole pages, too: what is damaged must not be mended by it.
    rmSync(path.join(folder, 'replica', `${before}-wal`), { force: true });
    const descriptor = openSync(path.join(folder, 'replica', before), 'r+');
    for (let page = 5; page < 60; page += 1) writeSync(descriptor, randomBytes(4096), 0, 4096, page * 4096);
    closeSync(descriptor);
    await cluster.startEdge(0);
    const total = async (): Promise<number> => {
      const answer = await at(cluster, 0).call('GET', '/v2/images?limit=100');
      return answer.status === 200 ? (answer.json() as { readonly images: readonly unknown[] }).images.length : 0;
    };
    await eventually(total, (count) => count === 20);
    await eventually(
      () => Promise.resolve(copiesIn(folder)),
      (copies) => copies.length === 1 && copies[0] !== before,
    );
    await eventually(
      () => Promise.resolve(replicaRows(folder) === primaryRows(`${cluster.folder}/primary`)),
      (same) => same,
    );
    expect(cluster.edges[0]?.stderr()).toContain('the catalog is copied from the primary');
  }, 60_000);

  it('while it is cut off does not forget how old its copy is', async () => {
    const way = cluster.ways[0];
    way?.calls.cut('reset');
    way?.sync.cut('reset');
    await cluster.killEdge(0);
    await pause(MAX_STALENESS_S * 1000);
    await cluster.startEdge(0);
    const refused = await at(cluster, 0).call('GET', '/v2/images');
    expect([refused.status, refused.text]).toEqual([503, expect.stringContaining('max_staleness')]);
    const open = await at(cluster, 0).call('GET', '/v2/images?visibility=public');
    expect(open.status).toBe(200);
    expect(Number(open.headers.get('oriel-staleness-ms'))).toBeGreaterThanOrEqual(MAX_STALENESS_S * 1000);
    way?.calls.heal();
    way?.sync.heal();
    await eventually(listed, (status) => status === 200);
  }, 60_000);
});

/** The processes of a node: the server of the catalog, were it started again, would be another. */
function childrenOf(pid: number): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
}

function copiesIn(folder: string): readonly string[] {
  return readdirSync(path.join(folder, 'replica')).filter((name) => /^replica\.\d+\.db$/.test(name));
}
