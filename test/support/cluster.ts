/** A real cluster: an authority with its sqld, and edges, each a process with a data folder of its own. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.js';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';
import { type NodeOptions, startNode, type TestNode } from './node.js';
import { RestClient } from './rest-client.js';
import { tempFolder } from './temp-folder.js';

export interface TestCluster {
  /** The data folders are below it: `primary`, `site0`, `site1` … */
  readonly folder: string;
  readonly primary: () => TestNode;
  readonly edges: readonly TestNode[];
  readonly rest: readonly RestClient[];
  /** The way of each edge to the authority, when there are proxies: its calls, and the copying of the catalog. */
  readonly ways: readonly Way[];
  /** Ends the authority and its sqld at once. */
  killPrimary(): Promise<void>;
  /** Starts the authority again where it was. */
  startPrimary(): Promise<void>;
  /** Ends an edge at once. */
  killEdge(index: number): Promise<void>;
  startEdge(index: number): Promise<void>;
  stop(): Promise<void>;
}

/** A first copy takes a second on a machine that does nothing else. */
const START_LIMIT_MS = 60_000;

export interface Way {
  readonly calls: CuttingProxy;
  readonly sync: CuttingProxy;
}

export interface ClusterOptions {
  /** Further arguments of every node. */
  readonly args?: readonly string[];
  /** Whether edges reach the authority through proxies that can be cut. */
  readonly proxied?: boolean;
  /** What is special about one node: `primary`, or the number of an edge. */
  readonly nodeOptions?: (node: 'primary' | number, dataDir: string) => Pick<NodeOptions, 'args' | 'env' | 'wrapper'>;
}

/** Starts the cluster and waits until every edge has a copy of the catalog. */
export async function startCluster(count: number, options: ClusterOptions = {}): Promise<TestCluster> {
  const { args = [], proxied = false } = options;
  const nodeOptions: NonNullable<ClusterOptions['nodeOptions']> = options.nodeOptions ?? (() => ({}));
  const folder = await tempFolder('cluster');
  const keyFile = path.join(folder.path, 'cluster.key');
  writeFileSync(keyFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const common = ['--cluster-key', keyFile, '--log-level', 'info', ...args];
  const ports = { grpc: await freePort(), sqld: proxied ? await freePort() : 0 };
  const grpc = `127.0.0.1:${ports.grpc}`;
  const ways: Way[] = [];
  for (let index = 0; proxied && index < count; index += 1)
    ways.push({
      calls: await startCuttingProxy({ target: () => ({ port: ports.grpc }) }),
      sync: await startCuttingProxy({ target: () => ({ port: ports.sqld }) }),
    });
  const startPrimary = (): Promise<TestNode> => {
    const dataDir = path.join(folder.path, 'primary');
    const special = nodeOptions('primary', dataDir);
    return startNode({
      ...special,
      role: 'primary',
      dataDir,
      args: [...common, '--site', 'centre', '--grpc', grpc, '--sqld-port', String(ports.sqld), ...(special.args ?? [])],
    });
  };
  const startEdge = async (index: number): Promise<TestNode> => {
    const site = `site${index}`;
    const dataDir = path.join(folder.path, site);
    const way = ways[index];
    const special = nodeOptions(index, dataDir);
    const env = way === undefined ? {} : { ORIEL_CATALOG_SYNC_URL: `http://${way.sync.address}` };
    return startNode({
      ...special,
      env: { ...env, ...special.env },
      dataDir,
      args: [...common, '--site', site, '--primary', way?.calls.address ?? grpc, ...(special.args ?? [])],
    });
  };
  let primary = await startPrimary();
  const edges: TestNode[] = [];
  const rest: RestClient[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(edges.map((edge) => edge.stop()));
    await primary.stop();
    await Promise.all(ways.flatMap(({ calls, sync }) => [calls.close(), sync.close()]));
    await folder.remove();
  };
  try {
    edges.push(...(await Promise.all(Array.from({ length: count }, (_, index) => startEdge(index)))));
    rest.push(...edges.map((edge) => new RestClient(edge.httpUrl)));
    for (const client of rest)
      await eventually(
        async () => (await client.call('GET', '/v2/images')).status,
        (status) => status === 200,
        START_LIMIT_MS,
      );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    folder: folder.path,
    primary: () => primary,
    edges,
    rest,
    ways,
    async killPrimary() {
      await primary.kill('SIGKILL');
    },
    async startPrimary() {
      primary = await startPrimary();
    },
    async killEdge(index) {
      await edges[index]?.kill('SIGKILL');
    },
    async startEdge(index) {
      const edge = await startEdge(index);
      edges[index] = edge;
      rest[index] = new RestClient(edge.httpUrl);
    },
    stop,
  };
}
