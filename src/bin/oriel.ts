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
