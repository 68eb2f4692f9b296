/** A real `oriel gateway` in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestNode } from './node.js';
import { ORIEL_PROGRAM, REPOSITORY } from './repository.js';
import { cleanEnvironment } from './tool.js';

export interface TestGateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a gateway in front of the nodes, the first of which it prefers, and waits for its line `ready …`. */
export async function startGateway(nodes: readonly Pick<TestNode, 'grpcAddress' | 'httpUrl'>[]): Promise<TestGateway> {
  const each = nodes.flatMap((node) => ['--node', node.grpcAddress, '--node-http', node.httpUrl]);
  const gateway = spawn(process.execPath, [ORIEL_PROGRAM, 'gateway', '--http', '127.0.0.1:0', ...each], {
    cwd: REPOSITORY,
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    return { url: await readyUrl(gateway), stop: () => end(gateway) };
  } catch (error) {
    await end(gateway);
    throw error;
  }
}

async function readyUrl(gateway: ChildProcess): Promise<string> {
  if (gateway.stdout === null) throw new Error('the gateway has no stdout');
  for await (const line of createInterface({ input: gateway.stdout })) {
    const url = /^ready http=(\S+)/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error('the gateway ended before it was ready');
}

async function end(gateway: ChildProcess): Promise<void> {
  if (gateway.exitCode !== null || gateway.signalCode !== null) return;
  const exited = once(gateway, 'exit');
  gateway.kill('SIGTERM');
  await exited;
}
