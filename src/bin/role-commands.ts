import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { usageError } from '../base/service-error.js';
import { SERVE_FLAGS } from '../config/flags.js';
import { loadConfig } from '../config/load-config.js';
import type { CliDeps } from '../cli/deps.js';

/** How long a stop may take before the process ends all the same: the doors' own drain and the closing of the catalog. */
const STOP_MAX_MS = 20_000;

/** The commands that run a role. */
export const ROLES = ['serve', 'primary', 'gateway'] as const;

type Given = Record<string, string | undefined>;

const PORT_MAX = 65_535;
const DEV_NODES_MAX = 50;

/** Adds the commands that run a role and go on until a signal. */
export function addRoles(program: Command, env: CliDeps['env']): void {
  const serve = program.command('serve').description('run a node: gRPC services and the Images API');
  serve.option('--config <file>', 'configuration (TOML)');
  for (const { declaration, help } of SERVE_FLAGS) serve.option(declaration, help);
  serve.addHelpText('after', '\nExample:\n  oriel serve --data /var/lib/oriel --http 127.0.0.1:9292');
  serve.action(async ({ config: file, ...flags }: Given) => {
    const { config } = loadConfig({ file, env, flags, processors: availableParallelism() });
    // The catalog and its log hold every project's metadata: nobody but the node's user and group reads them.
    process.umask(0o027);
    // Only what a role needs is loaded, for short starts.
    const { startNode } = await import('./serve.js');
    const node = await startNode(config);
    const { http, grpc, socket, site } = node;
    await untilSignal(`ready http=${http} grpc=${grpc} socket=${socket} site=${site}`, () => node.stop());
  });

  addPrimary(program, env);
  addCluster(program);
  addGateway(program, env);
}

function addGateway(program: Command, env: CliDeps['env']): void {
  const gateway = program.command('gateway').description('run the Images API alone, in front of one or several nodes');
  gateway
    .option('--config <file>', 'configuration (TOML)')
    .option('--http <host:port>', 'Images API (127.0.0.1:9292)')
    .option('--log-level <level>', 'least level logged (info)')
    .option('--node <host:port,…>', 'gRPC of a node, or unix:PATH; several: the first that answers is used', listed, [])
    .option('--node-http <url,…>', 'HTTP of the same nodes in the same order, for the bytes of images', listed, [])
    .option('--node-ca <file>', "authority of the nodes' certificates (PEM); turns TLS on");
  gateway.addHelpText(
    'after',
    '\nExample:\n  oriel gateway --http 127.0.0.1:9393 --node 127.0.0.1:9293 --node-http http://127.0.0.1:9292',
  );
  type Options = Omit<Given, 'node' | 'nodeHttp'> & { readonly node: string[]; readonly nodeHttp: string[] };
  gateway.action(async ({ config: file, node, nodeHttp, nodeCa, ...flags }: Options) => {
    const { config } = loadConfig({ file, env, flags, processors: availableParallelism() });
    const { startGateway } = await import('./gateway.js');
    const nodes = node.length > 0 ? node : config.gateway.nodes;
    const nodesHttp = nodeHttp.length > 0 ? nodeHttp : config.gateway.nodesHttp;
    const ca = typeof nodeCa === 'string' ? nodeCa : (config.gateway.nodesCaFile ?? undefined);
    const running = await startGateway(config, { nodes, nodesHttp, ca });
    await untilSignal(`ready http=${running.http} node=${nodes.join(',')}`, () => running.stop());
  });
}

/** An option that may be given several times, each with one value or several with commas between them. */
function listed(given: string, before: readonly string[]): readonly string[] {
  return [...before, ...given.split(',').filter((item) => item !== '')];
}

function addPrimary(program: Command, env: CliDeps['env']): void {
  const primary = program
    .command('primary')
    .description('run the authority of a cluster: sqld and the node that writes it');
  primary.option('--config <file>', 'configuration (TOML)');
  for (const { declaration, help } of SERVE_FLAGS) primary.option(declaration, help);
  primary.option('--sqld-port <n>', 'port from which edges copy the catalog; 0 takes a free one (0)');
  primary.option('--adopt <file>', "a single node's catalog that becomes the cluster's");
  primary.addHelpText(
    'after',
    '\nExample:\n  oriel cluster init --key cluster.key\n  oriel primary --data /var/lib/oriel --cluster-key cluster.key',
  );
  primary.action(async ({ config: file, sqldPort = '0', adopt, ...flags }: Given) => {
    const { config } = loadConfig({ file, env, flags, processors: availableParallelism() });
    process.umask(0o027);
    const { startPrimary } = await import('./primary.js');
    const node = await startPrimary(config, { sqldPort: wholeNumber('--sqld-port', sqldPort, PORT_MAX), adopt });
    const line = `primary pid=${process.pid} sqld_pid=${node.sqldPid() ?? 0} http=${node.http} grpc=${node.grpc}`;
    await untilSignal(line, () => node.stop());
  });
}

function addCluster(program: Command): void {
  const cluster = program.command('cluster').description('make a cluster');
  cluster
    .command('init')
    .description('make the key by which nodes join, and certificates for TLS between them')
    .option('--key <file>', 'the key alone: the file to write, of which every node gets a copy')
    .option('--dir <dir>', 'key and certificates: a folder for each --node; call again to add nodes')
    .option('--node <name=host,…>', 'a node and how others reach it (repeat)', collect, [])
    .addHelpText(
      'after',
      '\nExample:\n  oriel cluster init --dir cluster --node centre=10.0.0.1 --node paris=10.0.1.1,paris.example.org',
    )
    .action(async ({ key, dir, node }: { key?: string; dir?: string; node: readonly string[] }) => {
      const { newNodeOf, writeClusterFiles, writeClusterKey } = await import('./cluster-init.js');
      if ((key === undefined) === (dir === undefined))
        throw usageError('expected --dir with a --node for each node, or --key alone');
      if ((dir === undefined) !== (node.length === 0))
        throw usageError(
          dir === undefined
            ? '--key stands alone: leave --node out, or give --dir instead'
            : '--dir: expected a --node NAME=HOST[,HOST…] for each node',
        );
      if (key !== undefined) {
        writeClusterKey(key);
        process.stdout.write(`wrote ${key}: give every node a copy as --cluster-key\n`);
        return;
      }
      const folders = await writeClusterFiles(dir ?? '', node.map(newNodeOf));
      for (const folder of folders)
        process.stdout.write(`wrote ${folder}: copy it to that node, readable by it alone\n`);
      process.stdout.write(`keep ${dir ?? ''}/ca-key.pem away from the nodes: it makes new ones\n`);
    });
  cluster
    .command('dev')
    .description('run a cluster on this machine, to try it: an authority and edges, each with a data folder')
    .option('--nodes <n>', 'edges', '3')
    .option('--dir <dir>', 'where the data folders go', './cluster')
    .addHelpText('after', '\nExample:\n  oriel cluster dev --nodes 3 --dir /tmp/cluster')
    .action(async ({ nodes = '3', dir = './cluster' }: Given) => {
      const count = wholeNumber('--nodes', nodes, DEV_NODES_MAX);
      // Before there is a child: they are detached, and would stay. A terminal that is closed ends them, too.
      const signalled = firstSignal(['SIGTERM', 'SIGINT', 'SIGHUP']);
      const { CLUSTER_STOP_MAX_MS, startClusterDev } = await import('./cluster-dev.js');
      const running = await startClusterDev({ nodes: count, dir, stopped: signalled });
      await untilSignal(running.lines.join('\n'), () => running.stop(), { signalled, stopMaxMs: CLUSTER_STOP_MAX_MS });
    });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max)
    throw usageError(`${name}: expected a number from 0 to ${max}, got ${text.slice(0, 20)}`);
  return value;
}

/** Says that the role serves, and stops it at the first SIGTERM or SIGINT. */
async function untilSignal(
  ready: string,
  stop: () => Promise<void>,
  { signalled = firstSignal(['SIGTERM', 'SIGINT']), stopMaxMs = STOP_MAX_MS } = {},
): Promise<void> {
  process.stdout.write(`${ready}\n`);
  if (!signalled.aborted) await once(signalled, 'abort');
  setTimeout(() => process.exit(1), stopMaxMs).unref();
  await stop();
}

/** Is aborted by the first of these signals; further ones do nothing. */
function firstSignal(names: readonly NodeJS.Signals[]): AbortSignal {
  const signalled = new AbortController();
  for (const name of names) process.on(name, () => signalled.abort());
  return signalled.signal;
}
