#!/usr/bin/env node
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import { SERVE_FLAGS } from '../config/flags.js';
import { loadConfig } from '../config/load-config.js';
import { packageVersion } from './package-version.js';

/** How long a stop may take before the process ends all the same: the doors' own drain and the closing of the catalog. */
const STOP_MAX_MS = 20_000;

const program = new Command('oriel')
  .description('Virtual-machine image service for clouds spread over many sites')
  .version(packageVersion());

const serve = program
  .command('serve')
  .description('run a node: gRPC services and the Images API')
  .option('--config <file>', 'configuration (TOML)');
for (const { declaration, help } of SERVE_FLAGS) serve.option(declaration, help);
serve.action(async ({ config: file, ...flags }: Record<string, string | undefined>) => {
  const { config } = loadConfig({ file, env: process.env, flags, processors: availableParallelism() });
  const { startNode } = await import('./serve.js');
  const node = await startNode(config);
  stopOnSignal(() => node.stop());
  process.stdout.write(`ready http=${node.http} grpc=${node.grpc} socket=${node.socket} site=${node.site}\n`);
});

const gateway = program
  .command('gateway')
  .description('run the Images API alone, in front of a node')
  .option('--config <file>', 'configuration (TOML)')
  .option('--http <host:port>', 'Images API (127.0.0.1:9292)')
  .option('--log-level <level>', 'least level logged (info)')
  .option('--node <host:port>', 'gRPC of the node, or unix:PATH', '127.0.0.1:9293')
  .option('--node-http <url>', 'HTTP of the node, for the bytes of images', 'http://127.0.0.1:9292')
  .option('--node-ca <file>', "authority of the node's certificate (PEM); turns TLS on");
gateway.action(async (given: Record<string, string | undefined>) => {
  const { config: file, node = '', nodeHttp = '', nodeCa, ...flags } = given;
  const { config } = loadConfig({ file, env: process.env, flags, processors: availableParallelism() });
  const { startGateway } = await import('./gateway.js');
  const running = await startGateway(config, { node, nodeHttp, ca: nodeCa });
  stopOnSignal(() => running.stop());
  process.stdout.write(`ready http=${running.http} node=${node}\n`);
});

function stopOnSignal(stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = (): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_MAX_MS).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

function fail(error: unknown): never {
  const text = error instanceof ServiceError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`oriel: ${text ?? 'unknown error'}\n`);
  process.exit(1);
}

program.parseAsync().catch(fail);
