/** A real cluster: an authority with its sqld, and edges, each a process with a data folder of its own. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';
import { startNode, type TestNode } from './node.js';
import { RestClient } from './rest-client.js';
import { tempFolder } from './temp-folder.js';

export interface TestCluster {
  /** The data folders are below it: `primary`, `site0`, `site1` … */
  readonly folder: string;
  readonly primary: () => TestNode;
  readonly edges: readonly TestNode[];
  readonly rest: readonly RestClient[];
  /** Ends the authority and its sqld at once. */
  killPrimary(): Promise<void>;
  /** Starts the authority again where it was. */
  startPrimary(): Promise<void>;
  /** Ends an edge at once. */
  killEdge(index: number): Promise<void>;
  startEdge(index: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the cluster and waits until every edge has a copy of the catalog. */
export async function startCluster(count: number, args: readonly string[] = []): Promise<TestCluster> {
  const folder = await tempFolder('cluster');
  const keyFile = path.join(folder.path, 'cluster.key');
  writeFileSync(keyFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const common = ['--cluster-key', keyFile, '--log-level', 'info', ...args];
  const grpc = `127.0.0.1:${await freePort()}`;
  const startPrimary = (): Promise<TestNode> =>
    startNode({
      role: 'primary',
      dataDir: path.join(folder.path, 'primary'),
      args: [...common, '--site', 'centre', '--grpc', grpc],
    });
  const startEdge = async (index: number): Promise<TestNode> => {
    const site = `site${index}`;
    const edge = await startNode({
      dataDir: path.join(folder.path, site),
      args: [...common, '--site', site, '--primary', grpc],
    });
    return edge;
  };
  let primary = await startPrimary();
  const edges = await Promise.all(Array.from({ length: count }, (_, index) => startEdge(index)));
  const rest = edges.map((edge) => new RestClient(edge.httpUrl));
  for (const client of rest)
    await eventually(
      async () => (await client.call('GET', '/v2/images')).status,
      (status) => status === 200,
    );
  return {
    folder: folder.path,
    primary: () => primary,
    edges,
    rest,
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
    async stop() {
      await Promise.all(edges.map((edge) => edge.stop()));
      await primary.stop();
      await folder.remove();
    },
  };
}
