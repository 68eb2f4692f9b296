import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { startNode } from '../support/node.js';
import { ORIEL_PROGRAM, REPOSITORY } from '../support/repository.js';
import { cleanEnvironment } from '../support/tool.js';
import { restSuite } from './rest-suite.js';

restSuite('REST by `oriel gateway`, over gRPC and HTTP to a node', async () => {
  const node = await startNode();
  const args = ['gateway', '--http', '127.0.0.1:0', '--node', node.grpcAddress, '--node-http', node.httpUrl];
  const gateway = spawn(process.execPath, [ORIEL_PROGRAM, ...args], {
    cwd: REPOSITORY,
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = async (): Promise<void> => {
    await end(gateway);
    await node.stop();
  };
  try {
    return { url: await readyUrl(gateway), stop };
  } catch (error) {
    await stop();
    throw error;
  }
});

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
