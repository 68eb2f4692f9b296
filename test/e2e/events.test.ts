/** The feed of changes in a cluster: at every node, over kills of its parts. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EventKind } from '../../src/gen/oriel/node/v1/node_service.js';
import { connect } from '../../src/rpc/node-client.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { EventStream } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import type { RestClient } from '../support/rest-client.js';

const JSON_TYPE = { 'content-type': 'application/json' };

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(2);
}, 120_000);
afterAll(() => cluster.stop(), 60_000);

const at = (index: number): RestClient => {
  const client = cluster.rest[index];
  if (client === undefined) throw new Error(`no edge ${index}`);
  return client;
};
const watchAt = (index: number, after = ''): Promise<EventStream> =>
  EventStream.open(cluster.edges[index]?.httpUrl ?? '', { after });

/** The changes of one image, of which each is told: what the creation and patches of it are to a watcher. */
async function changes(index: number, name: string, patches: number): Promise<string[]> {
  const { id } = await at(index).create({ name });
  for (let turn = 1; turn <= patches; turn += 1)
    await at(index).patch(id, [{ op: 'replace', path: '/name', value: `${name}-${turn}` }]);
  return Array.from({ length: patches + 1 }, (_, version) => `${id} ${version + 1}`);
}
const said = ({ image_id, image_version }: { image_id: string; image_version?: number }): string =>
  `${image_id} ${image_version}`;

it('brings what is changed at one node to the watchers of the other, over HTTP and gRPC, in order', async () => {
  const stream = await watchAt(1);
  const abort = new AbortController();
  const client = connect({ node: cluster.edges[1]?.grpcAddress ?? '', token: undefined }, abort.signal);
  const messages = client.node.watchEvents({})[Symbol.asyncIterator]();
  expect((await messages.next()).value).toMatchObject({ kind: EventKind.HEARTBEAT });
  const expected = await changes(0, 'seen', 20);
  const last = expected.at(-1);
  expect((await stream.until((event) => said(event) === last)).map(said)).toEqual(expected);
  stream.close();
  const received: string[] = [];
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    const { kind, imageId, imageVersion } = next.value;
    if (kind !== EventKind.HEARTBEAT) received.push(`${imageId} ${imageVersion}`);
    if (received.length === expected.length) break;
  }
  expect(received).toEqual(expected);
  abort.abort();
  client.close();
});

it('goes on after kills of a node and of the authority, at whichever node, without a loss or a double', async () => {
  const stream = await watchAt(1);
  const before = await changes(0, 'before', 3);
  const received = (await stream.until((event) => said(event) === before.at(-1))).map(said);
  const { token } = stream;
  await cluster.killEdge(1);
  await expect(stream.next()).rejects.toThrow();
  const meanwhile = await changes(0, 'meanwhile', 3);
  await cluster.killPrimary();
  await cluster.startPrimary();
  await eventually(
    async () => (await at(0).call('POST', '/v2/images', '{}', { headers: JSON_TYPE })).status,
    (status) => status === 201,
  );
  const after = await changes(0, 'after', 3);
  await cluster.startEdge(1);
  // A node that has just started may not have come as far yet; the other one has.
  for (const index of [1, 0]) {
    const again = await watchAt(index, token);
    const rest = (await again.until((event) => said(event) === after.at(-1))).map(said);
    again.close();
    expect(new Set(rest).size).toBe(rest.length);
    const ours = rest.filter((event) => [...meanwhile, ...after].includes(event));
    expect([...received, ...ours]).toEqual([...before, ...meanwhile, ...after]);
  }
});

it('waits for a token that another node gave out, and refuses one that none did', async () => {
  const stream = await watchAt(0);
  await changes(0, 'ahead', 5);
  await stream.until(({ image_version }) => image_version === 6);
  (await watchAt(1, stream.token)).close();
  stream.close();
  const never = await at(1).call('GET', `/oriel/v1/events?after=${stream.token}999`);
  expect([never.status, never.headers.get('oriel-error-reason')]).toEqual([410, 'EVENTS_GONE']);
});

it('ends its streams in order when a node stops', async () => {
  const stream = await watchAt(1);
  const stopped = cluster.edges[1]?.stop();
  await expect(stream.next()).resolves.toBeUndefined();
  await stopped;
});
