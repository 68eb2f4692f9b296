/** A cluster as its users meet it: an authority, edges, and what happens when the authority goes away. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Metadata } from 'nice-grpc-common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/rpc/node-client.js';
import { type TestCluster, startCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { ORIEL_PROGRAM } from '../support/repository.js';
import type { RestClient } from '../support/rest-client.js';
import { storedFiles } from '../support/stored-files.js';

const ADMIN = { metadata: Metadata({ 'x-auth-token': 'root:root:admin' }) };
const FORMATS = { disk_format: 'raw', container_format: 'bare' };

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(3);
}, 120_000);
afterAll(() => cluster.stop(), 60_000);

const at = (index: number): RestClient => {
  const client = cluster.rest[index];
  if (client === undefined) throw new Error(`no edge ${index}`);
  return client;
};

async function uploaded(index: number, bytes: Buffer): Promise<string> {
  const { id } = await at(index).create({ name: `at-${index}`, ...FORMATS });
  const answer = await at(index).upload(id, bytes);
  expect([answer.status, answer.text]).toEqual([204, '']);
  return id;
}

describe('a cluster', () => {
  it('shows a writer what it wrote, at once and on the same node', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { id } = await at(0).create({ name: `round-${round}`, ...FORMATS });
      expect((await at(0).show(id)).name).toBe(`round-${round}`);
      await at(0).patch(id, [{ op: 'replace', path: '/name', value: `again-${round}` }]);
      expect((await at(0).list(`?name=again-${round}`)).map((image) => image.id)).toEqual([id]);
      expect((await at(0).call('DELETE', `/v2/images/${id}`)).status).toBe(204);
      expect((await at(0).call('GET', `/v2/images/${id}`)).status).toBe(404);
    }
  });

  it('finds at every node what was uploaded at one, at once', async () => {
    const bytes = randomBytes(3_000_017);
    const id = await uploaded(0, bytes);
    const md5 = createHash('md5').update(bytes).digest('hex');
    for (const index of [1, 2, 0])
      expect(await at(index).digest(id)).toEqual({ status: 200, sizeBytes: bytes.length, md5 });
    const range = await at(2).call('GET', `/v2/images/${id}/file`, undefined, {
      headers: { range: 'bytes=1000-1009' },
    });
    expect(range.status).toBe(206);
    expect((await at(1).show(id)).checksum).toBe(md5);
  });

  it('removes the bytes from the node that has them, wherever the image is deleted', async () => {
    const id = await uploaded(1, randomBytes(100_000));
    const before = (await storedFiles(cluster.edges[1]?.dataDir ?? '')).filter((file) => file.includes(id));
    expect(before.length).toBeGreaterThan(0);
    expect((await at(2).call('DELETE', `/v2/images/${id}`)).status).toBe(204);
    await eventually(
      async () => (await storedFiles(cluster.edges[1]?.dataDir ?? '')).filter((file) => file.includes(id)),
      (files) => files.length === 0,
    );
  });

  it('copies at a node what lies at another, and reads on there when the copy is lost', async () => {
    const bytes = randomBytes(2_000_003);
    const id = await uploaded(0, bytes);
    const node = (index: number): string => cluster.edges[index]?.grpcAddress ?? '';
    const client = connect({ node: node(2), token: undefined }, new AbortController().signal);
    try {
      await client.data.copyImage({ imageId: id, store: '' }, ADMIN);
      const { locations } = await eventually(
        () => client.catalog.listImageLocations({ imageId: id }, ADMIN),
        (answer) => answer.locations.length === 2,
      );
      expect(locations.map(({ url }) => url.split('://')[0])).toEqual(['oriel', 'file']);
      const other = await at(1).digest(id);
      expect(other.md5).toBe(createHash('md5').update(bytes).digest('hex'));
      // Its own node is asked first: without that file the other copy serves.
      const dataDir = cluster.edges[2]?.dataDir ?? '';
      const own = (await storedFiles(dataDir)).filter((file) => file.includes(id));
      expect(own).toHaveLength(2);
      for (const file of own) await rm(path.join(dataDir, 'images', file));
      expect(await at(2).digest(id)).toEqual(other);
    } finally {
      client.close();
    }
  });

  it('applies disjoint patches through different nodes, and refuses a stale version', async () => {
    const { id } = await at(0).create({ name: 'patched', ...FORMATS });
    const answers = await Promise.all(
      [0, 1, 2].map((index) => at(index).patch(id, [{ op: 'add', path: `/from_${index}`, value: 'yes' }])),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const position =
      answers
        .map(({ headers }) => headers.get('oriel-position') ?? '')
        .sort(byFrame)
        .at(-1) ?? '';
    const seen = await at(1).call('GET', `/v2/images/${id}`, undefined, {
      headers: { 'oriel-min-position': position },
    });
    expect(seen.json()).toMatchObject({ from_0: 'yes', from_1: 'yes', from_2: 'yes' });
    const stale = await at(2).call(
      'PATCH',
      `/v2/images/${id}`,
      JSON.stringify([{ op: 'replace', path: '/name', value: 'late' }]),
      { headers: { 'content-type': 'application/openstack-images-v2.1-json-patch', 'if-match': '"1"' } },
    );
    expect(stale.status).toBe(409);
  });

  it('tells how new an answer is, and waits for what is asked for', async () => {
    const created = await at(0).call('POST', '/v2/images', JSON.stringify(FORMATS), {
      headers: { 'content-type': 'application/json' },
    });
    const position = created.headers.get('oriel-position') ?? '';
    expect(position).toMatch(/^\d+\.\d+$/);
    const { id } = created.json() as { readonly id: string };
    const read = await at(2).call('GET', `/v2/images/${id}`, undefined, {
      headers: { 'oriel-min-position': position },
    });
    expect(read.status).toBe(200);
    expect(Number(read.headers.get('oriel-staleness-ms'))).toBeGreaterThanOrEqual(0);
    const never = await at(2).call('GET', '/v2/images', undefined, { headers: { 'oriel-min-position': '999999.1' } });
    expect(never.status).toBe(503);
    const malformed = await at(2).call('GET', '/v2/images', undefined, { headers: { 'oriel-min-position': 'x' } });
    expect(malformed.status).toBe(400);
  });

  it('says 404 for an image that no node has', async () => {
    expect((await at(0).call('GET', `/v2/images/${randomUUID()}`)).status).toBe(404);
  });

  it('lists its nodes', async () => {
    const edge = cluster.edges[1];
    const list = await eventually(
      async () => {
        const args = [ORIEL_PROGRAM, 'node', 'list', '--json', '--node', edge?.grpcAddress ?? ''];
        const { stdout } = await promisify(execFile)(process.execPath, args);
        return JSON.parse(stdout) as readonly {
          readonly site: string;
          readonly alive: boolean;
          readonly http_url: string;
        }[];
      },
      (nodes) => nodes.length === 4 && nodes.every(({ alive, http_url: url }) => alive && url !== ''),
    );
    expect(list.map(({ site }) => site)).toEqual(['centre', 'site0', 'site1', 'site2']);
  });

  it('believes no statement that no node signed', async () => {
    for (const url of [cluster.primary().httpUrl, cluster.edges[0]?.httpUrl ?? '']) {
      const answer = await fetch(`${url}/v2/images`, { headers: { 'x-oriel-statement': 'e30.e30' } });
      expect(answer.status).toBe(401);
      const object = await fetch(`${url}/oriel/v1/objects/x?store=file&key=a&size=1`, {
        headers: { range: 'bytes=0-0' },
      });
      expect(object.status).toBe(403);
    }
  });
});

describe('a cluster without its authority', () => {
  it('answers reads and refuses changes, then goes on by itself', async () => {
    const bytes = randomBytes(500_000);
    const id = await uploaded(0, bytes);
    const { sqldPid } = cluster.primary();
    await cluster.killPrimary();
    // Its sqld may outlive it; whoever starts the authority again must cope.
    expect(sqldPid).toBeGreaterThan(0);
    expect((await at(0).list()).map((image) => image.id)).toContain(id);
    expect((await at(0).digest(id)).sizeBytes).toBe(bytes.length);
    const refused = await at(1).call('POST', '/v2/images', '{}', { headers: { 'content-type': 'application/json' } });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(refused.text).toContain('authority');
    // A node that starts now has its copy, and serves.
    await cluster.killEdge(2);
    await cluster.startEdge(2);
    expect((await at(2).list()).length).toBeGreaterThan(0);
    // Long enough for a connection that was tried again and again to have given up, were it to.
    await pause(6000);
    await cluster.startPrimary();
    const created = await eventually(
      async () =>
        (await at(1).call('POST', '/v2/images', '{}', { headers: { 'content-type': 'application/json' } })).status,
      (status) => status === 201,
    );
    expect(created).toBe(201);
    expect((await at(2).digest(id)).sizeBytes).toBe(bytes.length);
  }, 60_000);
});

function byFrame(left: string, right: string): number {
  return Number(left.split('.')[1]) - Number(right.split('.')[1]);
}
