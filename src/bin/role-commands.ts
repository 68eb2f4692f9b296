import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { SERVE_FLAGS } from '../config/flags.js';
import { loadConfig } from '../config/load-config.js';
import type { CliDeps } from '../cli/deps.js';

/** How long a stop may take before the process ends all the same: the doors' own drain and the closing of the catalog. */
const STOP_MAX_MS = 20_000;

/** The commands that run a role. */
export const ROLES = ['serve', 'gateway'] as const;

type Given = Record<string, string | undefined>;

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

  const gateway = program.command('gateway').description('run the Images API alone, in front of a node');
  gateway
    .option('--config <file>', 'configuration (TOML)')
    .option('--http <host:port>', 'Images API (127.0.0.1:9292)')
    .option('--log-level <level>', 'least level logged (info)')
    .requiredOption('--node <host:port>', 'gRPC of the node, or unix:PATH')
    .requiredOption('--node-http <url>', 'HTTP of the same node, for the bytes of images')
    .option('--node-ca <file>', "authority of the node's certificate (PEM); turns TLS on");
  gateway.addHelpText(
    'after',
    '\nExample:\n  oriel gateway --http 127.0.0.1:9393 --node 127.0.0.1:9293 --node-http http://127.0.0.1:9292',
  );
  gateway.action(async ({ config: file, node = '', nodeHttp = '', nodeCa, ...flags }: Given) => {
    const { config } = loadConfig({ file, env, flags, processors: availableParallelism() });
    const { startGateway } = await import('./gateway.js');
    const running = await startGateway(config, { node, nodeHttp, ca: nodeCa });
    await untilSignal(`ready http=${running.http} node=${node}`, () => running.stop());
  });
}

/** Says that the role serves, and stops it at the first SIGTERM or SIGINT. */
async function untilSignal(ready: string, stop: () => Promise<void>): Promise<void> {
  const signalled = new Promise<void>((resolve) => {
    process.on('SIGTERM', () => resolve());
    process.on('SIGINT', () => resolve());
  });
  process.stdout.write(`${ready}\n`);
  await signalled;
  setTimeout(() => process.exit(1), STOP_MAX_MS).unref();
  await stop();
}
