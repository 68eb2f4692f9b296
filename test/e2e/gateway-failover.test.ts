/** One gateway before the edges of a cluster: what its callers notice of a node that is killed or stopped. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { eventually } from '../support/eventually.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { RestClient } from '../support/rest-client.js';

const FORMATS = { disk_format: 'raw', container_format: 'bare' };
/** More than what the sockets of a download hold, so that its node still sends. */
const BIG_BYTES = 32 * 1024 * 1024;

let cluster: TestCluster;
let gateway: TestGateway;
let rest: RestClient;

beforeAll(async () => {
  cluster = await startCluster(2, { proxied: true });
  gateway = await startGateway(cluster.edges);
  rest = new RestClient(gateway.url);
}, 120_000);
afterAll(async () => {
  await gateway.stop();
  await cluster.stop();
}, 60_000);

const pidOf = (index: number): number => cluster.edges[index]?.pid ?? 0;

/** Which nodes the gateway holds for up, in its order. */
async function up(): Promise<readonly boolean[]> {
  const answer = await rest.call('GET', '/readyz');
  const { parts } = answer.json() as { readonly parts: readonly { readonly ok: boolean }[] };
  expect(answer.status).toBe(parts.some(({ ok }) => ok) ? 200 : 503);
  return parts.map(({ ok }) => ok);
}

async function whileStopped(index: number, work: () => Promise<void>): Promise<void> {
  process.kill(pidOf(index), 'SIGSTOP');
  try {
    await work();
  } finally {
    process.kill(pidOf(index), 'SIGCONT');
  }
  await eventually(up, (nodes) => nodes.every(Boolean));
}

/** The start of a download: the answer, which sends no more than the sockets hold until it is read. */
async function beginDownload(id: string): Promise<IncomingMessage> {
  const request = http.get(`${gateway.url}/v2/images/${id}/file`);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  await once(response, 'readable');
  return response;
}

async function digestOf(response: IncomingMessage): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of response) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

describe('a gateway before two nodes', () => {
  it('answers reads and changes while its first node is stopped, each change once', async () => {
    const { id } = await rest.create({ name: 'before', ...FORMATS });
    await whileStopped(0, async () => {
      // These are under way when the gateway finds out.
      const answers = await Promise.all([
        rest.call('GET', `/v2/images/${id}`),
        rest.patch(id, [{ op: 'add', path: '/a', value: '1' }]),
        rest.patch(id, [{ op: 'add', path: '/b', value: '1' }]),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(await up()).toEqual([false, true]);
    });
    // What the stopped node had taken and forwards now that it runs again was done already.
    await pause(500);
    const shown = await rest.call('GET', `/v2/images/${id}`);
    expect(shown.json()).toMatchObject({ a: '1', b: '1' });
    expect(shown.headers.get('oriel-image-version')).toBe('3');
  });

  it('goes on by itself when a silent cut has left its connections dead', async () => {
    const node = cluster.edges[0];
    const port = Number(node?.grpcAddress.split(':').at(-1));
    const line = await startCuttingProxy({ target: () => ({ port }) });
    const behind = await startGateway([{ grpcAddress: line.address, httpUrl: node?.httpUrl ?? '' }]);
    try {
      const caller = new RestClient(behind.url);
      const status = async (): Promise<number> => (await caller.call('GET', '/v2/images')).status;
      expect(await status()).toBe(200);
      line.cut('lose');
      expect(await status()).not.toBe(200);
      line.heal();
      await eventually(status, (answer) => answer === 200, 60_000);
    } finally {
      await behind.stop();
      await line.close();
    }
  }, 120_000);

  it('shows a caller at the second node what it wrote through the first', async () => {
    // The second node does not hear of changes, and the first has them at once.
    cluster.ways[1]?.sync.cut('hang');
    const created = await rest.create({ name: 'through the first', ...FORMATS });
    const healed = pause(300).then(() => cluster.ways[1]?.sync.heal());
    await cluster.killEdge(0);
    expect((await rest.show(created.id)).name).toBe('through the first');
    expect((await rest.list('?name=through the first')).map(({ id }) => id)).toEqual([created.id]);
    await healed;
  });

  it('refuses with 503 and is not ready while no node answers, and goes on by itself', async () => {
    await cluster.killEdge(1);
    const refused = await rest.call('GET', '/v2/images');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    expect(await up()).toEqual([false, false]);
  });
});

describe('a download through a gateway', () => {
  let other: TestGateway;

  beforeAll(async () => {
    await cluster.startEdge(0);
    await cluster.startEdge(1);
    await gateway.stop();
    gateway = await startGateway(cluster.edges);
    rest = new RestClient(gateway.url);
    other = await startGateway([...cluster.edges].reverse());
  }, 60_000);
  afterAll(() => other.stop());

  it('goes on at another node from the exact byte when its node is killed or stopped', async () => {
    const bytes = randomBytes(BIG_BYTES);
    const md5 = createHash('md5').update(bytes).digest('hex');
    // Its bytes are at the second node, which both gateways can read it through.
    const through = new RestClient(other.url);
    const { id } = await through.create({ name: 'big', ...FORMATS });
    expect((await through.upload(id, bytes)).status).toBe(204);
    const stopped = await beginDownload(id);
    await whileStopped(0, async () => {
      expect(await digestOf(stopped)).toBe(md5);
    });
    const killed = await beginDownload(id);
    await cluster.killEdge(0);
    expect(await digestOf(killed)).toBe(md5);
  }, 60_000);

  it('ends an upload whose node is killed with an error, and the image takes another', async () => {
    const through = new RestClient(other.url);
    const { id } = await through.create({ name: 'cut', ...FORMATS });
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield randomBytes(1024 * 1024);
      await cluster.killEdge(1);
      yield randomBytes(1024 * 1024);
    }
    const answer = await through.upload(id, slowly()).catch(() => undefined);
    expect(answer?.status ?? 503).toBe(503);
    await cluster.startEdge(1);
    // An edge's copy may still say `queued` of the time before the upload; the authority's word is what an upload meets.
    const authority = new RestClient(cluster.primary().httpUrl);
    await eventually(
      async () => (await authority.show(id)).status,
      (status) => status === 'queued',
    );
    const again = new RestClient(cluster.edges[1]?.httpUrl ?? '');
    expect((await again.upload(id, randomBytes(1000))).status).toBe(204);
    await cluster.startEdge(0);
  }, 60_000);
});
