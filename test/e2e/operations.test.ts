/**
 * What operators do with the catalog of a cluster, on real processes, in this order: a change held by an edge, backup and
 * restore, promotion and the fence.
 */
import { rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replicaRows } from '../support/catalog-rows.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';
import { startNode, type TestNode } from '../support/node.js';
import { runOriel } from '../support/oriel-command.js';
import { RestClient } from '../support/rest-client.js';

const FORMATS = { disk_format: 'raw', container_format: 'bare' };

let cluster: TestCluster;
const others: TestNode[] = [];
beforeAll(async () => {
  const replica = { env: { ORIEL_CATALOG_DURABILITY: 'replica' } };
  cluster = await startCluster(2, { nodeOptions: (node) => (node === 'primary' ? replica : {}) });
}, 120_000);
afterAll(async () => {
  for (const node of others) await node.kill('SIGKILL');
  await cluster.stop();
}, 60_000);

const folderOf = (name: string): string => path.join(cluster.folder, name);
const at = (index: number): RestClient => cluster.rest[index] ?? clientOf(cluster.primary());
const clientOf = (node: TestNode): RestClient => new RestClient(node.httpUrl);

/** The names of the images, or the status that the list was refused with. */
async function names(client: RestClient): Promise<string> {
  const answer = await client.call('GET', '/v2/images');
  if (answer.status !== 200) return String(answer.status);
  const { images } = answer.json() as { readonly images: readonly { readonly name: string }[] };
  return images
    .map(({ name }) => name)
    .sort()
    .join();
}

async function creating(client: RestClient, name: string): Promise<string> {
  const body = JSON.stringify({ name, ...FORMATS });
  const answer = await client.call('POST', '/v2/images', body, { headers: { 'content-type': 'application/json' } });
  return answer.status === 201 ? 'created' : answer.text;
}

/** Starts a further node of the cluster's, on a data folder that is there. */
async function start(role: 'serve' | 'primary', folder: string, args: readonly string[]): Promise<TestNode> {
  const all = ['--cluster-key', folderOf('cluster.key'), '--site', folder, ...args];
  const node = await startNode({ role, dataDir: folderOf(folder), args: all });
  others.push(node);
  return node;
}

describe('a change', () => {
  it('is answered when an edge holds it; when none does, that is said, and it happens once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id } = await at(round % 2).create({ name: 'round', ...FORMATS });
      expect(['site0', 'site1'].some((site) => replicaRows(folderOf(site)).includes(id))).toBe(true);
      expect((await at(round % 2).call('DELETE', `/v2/images/${id}`)).status).toBe(204);
    }
    await Promise.all([cluster.killEdge(0), cluster.killEdge(1)]);
    const request = JSON.stringify({ request_id: 'once', name: 'once' });
    const call = ['call', 'CatalogService/CreateImage', request, '--node', cluster.primary().grpcAddress];
    const refused = await runOriel(call);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/made at the authority .* no copy .* held it/),
    ]);
    await Promise.all([cluster.startEdge(0), cluster.startEdge(1)]);
    await eventually(
      () => runOriel(call),
      ({ code }) => code === 0,
    );
    expect(await names(at(0))).toBe('once');
  }, 90_000);
});

describe('backup and restore', () => {
  it('take a cluster back to a moment, and every edge with it', async () => {
    const file = path.join(cluster.folder, 'backup.db');
    const data = ['--data', folderOf('primary')];
    expect(await runOriel(['catalog', 'backup', file, ...data])).toMatchObject({ code: 0, stderr: '' });
    expect(await runOriel(['catalog', 'backup', file, ...data])).toMatchObject({ code: 1 });
    const verified = await runOriel(['catalog', 'verify', file, '--json']);
    expect([verified.code, verified.stderr]).toEqual([0, '']);
    expect(JSON.parse(verified.stdout)).toMatchObject({ pending_migrations: 0, problems: [] });
    const migrations = await runOriel(['catalog', 'migrate', '--check', '--json', ...data]);
    expect([migrations.code, JSON.parse(migrations.stdout)]).toEqual([0, expect.objectContaining({ pending: [] })]);

    await at(0).create({ name: 'after', ...FORMATS });
    for (const index of [0, 1])
      await eventually(
        () => names(at(index)),
        (list) => list === 'after,once',
      );
    const running = await runOriel(['catalog', 'restore', file, ...data]);
    expect([running.code, running.stderr]).toEqual([1, expect.stringMatching(/another node runs/)]);
    await cluster.killPrimary();
    const restored = await runOriel(['catalog', 'restore', file, ...data, '--json']);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    await cluster.startPrimary();
    for (const index of [0, 1])
      await eventually(
        () => names(at(index)),
        (list) => list === 'once',
      );
    const { epoch } = JSON.parse(restored.stdout) as { readonly epoch: number };
    await eventually(
      async () => (await at(0).call('GET', '/v2/images')).headers.get('oriel-position') ?? '',
      (position) => Number(position.split('.')[0]) > epoch,
    );
  }, 90_000);
});

describe('promotion', () => {
  it('makes an edge the authority, and shuts out the old one when it comes back', async () => {
    const [first, second] = cluster.edges;
    const bytes = randomBytes(10_000);
    const uploaded = await eventually(
      () => creating(at(0), 'kept'),
      (answer) => answer === 'created',
    );
    expect(uploaded).toBe('created');
    const id = (await at(0).list('?name=kept'))[0]?.id ?? '';
    expect((await at(0).upload(id, bytes)).status).toBe(204);
    const data = ['--data', folderOf('site0')];
    expect((await runOriel(['catalog', 'promote', '--yes', ...data])).stderr).toMatch(/another node runs/);

    await cluster.killPrimary();
    await first?.kill('SIGKILL');
    await second?.kill('SIGTERM');
    const asked = await runOriel(['catalog', 'promote', ...data]);
    expect([asked.code, asked.stderr]).toEqual([1, expect.stringMatching(/add --yes/)]);
    expect(asked.stdout).toMatch(/position +\d+\.\d+\n/);
    const promoted = await runOriel(['catalog', 'promote', '--yes', ...data]);
    expect([promoted.code, promoted.stderr]).toEqual([0, '']);
    const primary = await start('primary', 'site0', []);
    expect(await names(clientOf(primary))).toBe('kept,once');
    expect(await creating(clientOf(primary), 'new')).toBe('created');
    expect((await clientOf(primary).digest(id)).sizeBytes).toBe(bytes.length);

    // The old authority comes back where it was, and reaches no node that it knows: the new one tells it.
    await cluster.startPrimary();
    const old = clientOf(cluster.primary());
    await eventually(
      () => creating(old, 'lost'),
      (answer) => answer.includes('replaced by another'),
    );
    expect((await old.call('GET', '/v2/images')).status).toBe(200);
    await cluster.primary().kill('SIGTERM');
    await expect(cluster.startPrimary()).rejects.toThrow(/the node ended \(3\)[^]*was replaced by another/);

    // Without its mark, it asks the nodes that it knows before it serves.
    const mark = path.join(folderOf('primary'), 'sqld/fenced.json');
    rmSync(mark);
    const edge = await start('serve', 'site1', ['--primary', primary.grpcAddress, '--grpc', second?.grpcAddress ?? '']);
    await eventually(
      () => names(clientOf(edge)),
      (list) => list === 'kept,new,once',
    );
    await expect(cluster.startPrimary()).rejects.toThrow(/replaced by another/);

    // An edge that has seen the new epoch does not follow it, and tells it.
    rmSync(mark);
    await edge.kill('SIGTERM');
    await primary.kill('SIGTERM');
    await cluster.startPrimary();
    const strayed = await start('serve', 'site1', ['--primary', cluster.primary().grpcAddress]);
    await eventually(
      () => creating(clientOf(cluster.primary()), 'lost'),
      (answer) => answer.includes('replaced by another'),
    );
    expect(await names(clientOf(strayed))).toBe('kept,new,once');
    await strayed.kill('SIGTERM');
    await cluster.primary().kill('SIGTERM');

    // It is taken in as an edge.
    const again = await start('primary', 'site0', []);
    const rejoined = await start('serve', 'primary', ['--primary', again.grpcAddress]);
    await eventually(
      () => names(clientOf(rejoined)),
      (list) => list === 'kept,new,once',
    );
    expect(await creating(clientOf(rejoined), 'rejoined')).toBe('created');

    // Another catalog by the same key: neither side takes the other for a part of its own history.
    const foreign = await start('primary', 'foreign', []);
    await rejoined.kill('SIGTERM');
    const kept = await start('serve', 'primary', ['--primary', foreign.grpcAddress]);
    await eventually(
      async () => (await clientOf(kept).call('GET', '/readyz')).text,
      (text) => text.includes('another catalog'),
    );
    expect(await names(clientOf(kept))).toBe('kept,new,once,rejoined');
    expect(await creating(clientOf(kept), 'astray')).toContain('another catalog');
    expect(await creating(clientOf(foreign), 'own')).toBe('created');
  }, 120_000);
});
