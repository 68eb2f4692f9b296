/**
 * A cluster whose parts are killed, stopped and cut off while clients change and read images through all its nodes. Afterwards no
 * acknowledged change may be lost and none be there twice, every client has seen its own changes and never went back in
 * time, and every copy is equal to the authority's catalog, row for row. ORIEL_FAULTS and ORIEL_SEED set how often and which
 * course; `npm run soak` asks for more.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { primaryRows, replicaRows } from '../support/catalog-rows.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { SeededRandom, testSeed } from '../support/seeded-random.js';
import { ClusterClient } from './cluster-client.js';

const FAULTS = Number(process.env['ORIEL_FAULTS'] ?? '30');
const CLIENTS = 5;
const EDGES = 3;
const SETTLE_MS = 60_000;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(EDGES, { proxied: true });
}, 120_000);
afterAll(() => cluster.stop(), 60_000);

type Fault = (random: SeededRandom) => Promise<void>;

/** Cuts some of an edge's two connections to the authority, by silence or by resets, and heals them. */
async function cutOff(random: SeededRandom, index: number): Promise<void> {
  const way = cluster.ways[index];
  if (way === undefined) throw new Error(`no way of edge ${index}`);
  const which = random.between(0, 2);
  const lines = [...(which === 0 ? [] : [way.calls]), ...(which === 1 ? [] : [way.sync])];
  const how = random.next() < 0.5 ? 'hang' : 'reset';
  for (const line of lines) line.cut(how);
  await pause(random.between(100, how === 'hang' ? 1500 : 600));
  for (const line of lines) line.heal();
}

const FAULT_KINDS: Readonly<Record<string, Fault>> = {
  async 'kill the authority'(random) {
    await cluster.killPrimary();
    await pause(random.between(0, 800));
    await cluster.startPrimary();
  },
  async 'kill sqld'() {
    // Another fault may have had it started again, so that its number is not the one of the first line.
    const pid = childrenOf(cluster.primary().pid).find((child) => commandOf(child) === 'sqld');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await Promise.resolve();
  },
  async 'stop the authority for a while'(random) {
    process.kill(cluster.primary().pid, 'SIGSTOP');
    await pause(random.between(200, 2000));
    process.kill(cluster.primary().pid, 'SIGCONT');
  },
  async 'cut an edge off'(random) {
    await cutOff(random, random.between(0, EDGES - 1));
  },
  async 'cut two edges off, one after the other healed'(random) {
    const index = random.between(0, EDGES - 1);
    await Promise.all([cutOff(random, index), cutOff(random, (index + 1) % EDGES)]);
  },
  async 'cut an edge off and kill it meanwhile'(random) {
    const index = random.between(0, EDGES - 1);
    const cut = cutOff(random, index);
    await cluster.killEdge(index);
    await cluster.startEdge(index);
    await cut;
  },
  async 'kill an edge'(random) {
    const index = random.between(0, EDGES - 1);
    await cluster.killEdge(index);
    await pause(random.between(0, 300));
    await cluster.startEdge(index);
  },
};

it(
  `keeps its promises over ${FAULTS} faults`,
  async () => {
    const random = new SeededRandom(testSeed());
    console.log(`cluster faults: ORIEL_SEED=${random.seed} ORIEL_FAULTS=${FAULTS}`);
    const clients = Array.from(
      { length: CLIENTS },
      () => new ClusterClient(new SeededRandom(random.between(0, 2 ** 31))),
    );
    const acked = (): number => clients.reduce((sum, client) => sum + client.acked, 0);
    let running = true;
    const work = clients.map(async (client) => {
      while (running) await client.step(cluster.rest);
    });
    for (let round = 1; round <= FAULTS; round += 1) {
      const kinds = Object.entries(FAULT_KINDS);
      const [name = '', fault] = kinds[random.between(0, kinds.length - 1)] ?? [];
      await fault?.(random);
      // Whatever happened, changes work again by themselves.
      const wanted = acked() + CLIENTS;
      await until(() => acked() >= wanted, `changes work after fault ${round}: ${name}`);
    }
    running = false;
    await Promise.all(work);
    for (const client of clients)
      for (const image of client.images) for (const node of cluster.rest) await client.check(node, image);
    expect(clients.flatMap(({ wrong }) => wrong)).toEqual([]);
    const folders = Array.from({ length: EDGES }, (_, index) => `${cluster.folder}/site${index}`);
    await until(
      () => folders.every((folder) => replicaRows(folder) === primaryRows(`${cluster.folder}/primary`)),
      'every copy is equal to the catalog',
    );
  },
  FAULTS * SETTLE_MS + 120_000,
);

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + SETTLE_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${SETTLE_MS / 1000} s: ${what}`);
    await pause(50);
  }
}
