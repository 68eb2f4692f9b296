/** Edges of the release before under the catalog of the next one: a migration that they do not know is added to it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AccessTokens } from '../../src/catalog/primary/access-tokens.js';
import { MIGRATIONS } from '../../src/catalog/migrations/index.js';
import { primaryRows, replicaRows } from '../support/catalog-rows.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import type { TestNode } from '../support/node.js';
import { rawHrana } from '../support/raw-hrana.js';
import { SeededRandom, testSeed } from '../support/seeded-random.js';
import { ClusterClient } from './cluster-client.js';

const NEXT = MIGRATIONS.length + 1;
const STEPS = 60;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(2);
}, 120_000);
afterAll(() => cluster.stop(), 60_000);

it('go on, keep what the checker asks, and stop only when they are told that they cannot read it', async () => {
  await applyAtSqld(cluster.primary(), [
    'create table of_the_next_release (id text not null primary key, n integer not null) strict',
    "alter table images add column of_the_next_release text default 'x'",
    'create index images_of_the_next_release on images (of_the_next_release)',
    "insert into of_the_next_release (id, n) values ('a', 1)",
    `insert into schema_migrations (version, checksum, at) values (${NEXT}, 'next', 0)`,
  ]);
  const random = new SeededRandom(testSeed());
  const clients = [1, 2, 3].map(() => new ClusterClient(new SeededRandom(random.between(0, 2 ** 31))));
  await Promise.all(
    clients.map(async (client) => {
      for (let step = 0; step < STEPS; step += 1) await client.step(cluster.rest);
    }),
  );
  expect(clients.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(clients.every(({ acked }) => acked > STEPS / 6)).toBe(true);
  await cluster.killEdge(1);
  await cluster.startEdge(1);
  const equal = (site: string): boolean =>
    replicaRows(path.join(cluster.folder, site)) === primaryRows(path.join(cluster.folder, 'primary'));
  await eventually(
    async () => Promise.resolve(['site0', 'site1'].map(equal)),
    (both) => both.every(Boolean),
  );
  await applyAtSqld(cluster.primary(), [`insert into meta (name, value) values ('readable_from', ${NEXT})`]);
  for (const client of cluster.rest) {
    const refused = await eventually(
      () => client.call('GET', '/v2/images'),
      ({ status }) => status === 503,
    );
    expect(refused.text).toMatch(/upgrade this node/);
  }
}, 120_000);

/** What a primary of the next release would do at its start. */
async function applyAtSqld({ sqldPid, dataDir }: TestNode, statements: readonly string[]): Promise<void> {
  const listen = readFileSync(`/proc/${sqldPid}/cmdline`, 'utf8').split('\0');
  const port = Number(listen[listen.indexOf('--http-listen-addr') + 1]?.split(':')[1]);
  const token = AccessTokens.open(path.join(dataDir, 'keys')).mint('rw', 60);
  const answer = await rawHrana(port, token, statements);
  expect([answer.status, answer.text]).toEqual([200, expect.not.stringMatching(/"error"/)]);
}
