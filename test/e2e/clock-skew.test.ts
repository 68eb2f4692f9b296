/**
 * Nodes whose clocks are an hour apart, either way of the authority's. libfaketime moves the wall clock of a process; its
 * monotonic clock stays, as on a machine whose clock is wrong.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { ORIEL_PROGRAM } from '../support/repository.js';
import type { RestClient } from '../support/rest-client.js';
import { cleanEnvironment } from '../support/tool.js';

const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const HOUR_MS = 3_600_000;
const LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
  .find((file) => existsSync(file));

function clockMovedBy(offset: string): Record<string, string> {
  return { LD_PRELOAD: LIBRARY ?? '', FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
}

interface ListedNode {
  readonly role: string;
  readonly site: string;
  readonly alive: boolean;
  readonly seen_at: string;
  readonly staleness_ms: number;
}

describe.skipIf(LIBRARY === undefined)('clocks an hour apart', () => {
  let cluster: TestCluster;
  const at = (index: number): RestClient => {
    const client = cluster.rest[index];
    if (client === undefined) throw new Error(`no edge ${index}`);
    return client;
  };

  beforeAll(async () => {
    cluster = await startCluster(2, {
      nodeOptions: (node) => (node === 'primary' ? {} : { env: clockMovedBy(node === 0 ? '+1h' : '-1h') }),
    });
  }, 120_000);
  afterAll(() => cluster.stop(), 60_000);

  it('are what the nodes have', async () => {
    const date = async (index: number): Promise<number> =>
      Date.parse((await at(index).call('GET', '/healthz')).headers.get('date') ?? '');
    expect(Math.round(((await date(0)) - (await date(1))) / HOUR_MS)).toBe(2);
  });

  it('let changes, uploads and reads of other nodes through, dated by the authority', async () => {
    const bytes = randomBytes(300_000);
    for (const index of [0, 1]) {
      const { id } = await at(index).create({ name: `at-${index}`, ...FORMATS });
      expect((await at(index).upload(id, bytes)).status).toBe(204);
      expect((await at(1 - index).digest(id)).sizeBytes).toBe(bytes.length);
      expect((await at(1 - index).patch(id, [{ op: 'add', path: '/a', value: 'b' }])).status).toBe(200);
      const shown = (await at(1 - index).call('GET', `/v2/images/${id}`)).json() as { readonly created_at: string };
      expect(Math.abs(Date.parse(shown.created_at) - Date.now())).toBeLessThan(HOUR_MS / 2);
    }
  });

  it('leave ages and signs of life right', async () => {
    for (const index of [0, 1]) {
      const age = Number((await at(index).call('GET', '/v2/images')).headers.get('oriel-staleness-ms'));
      expect(age).toBeGreaterThanOrEqual(0);
      expect(age).toBeLessThan(60_000);
    }
    const nodes = await eventually(listNodes, (list) => list.length === 3 && list.every(({ alive }) => alive));
    for (const node of nodes) {
      expect(Math.abs(Date.parse(node.seen_at) - Date.now())).toBeLessThan(HOUR_MS / 2);
      expect(node.staleness_ms).toBeLessThan(60_000);
    }
  });

  async function listNodes(): Promise<readonly ListedNode[]> {
    const args = [ORIEL_PROGRAM, 'node', 'list', '--json', '--node', cluster.edges[0]?.grpcAddress ?? ''];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: cleanEnvironment() });
    return JSON.parse(stdout) as readonly ListedNode[];
  }
});
