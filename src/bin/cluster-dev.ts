/**
 * `oriel cluster dev`: an authority and some edges as processes of their own on this machine, to try a cluster and its faults
 * on. A child that ends is not started again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { ServiceError } from '../base/service-error.js';
import { namingLater } from '../base/system-error.js';
import { makeFolder } from '../hostfs/folder.js';
import { newClusterKey } from '../identity/cluster-key.js';

/** How long a child may take to stop: a role's own limit, and then some. */
const STOP_MS = 25_000;
/** How long `stop` takes at most, the edges and then the authority. */
export const CLUSTER_STOP_MAX_MS = 2 * STOP_MS + 5000;

export interface ClusterDevOptions {
  readonly nodes: number;
  readonly dir: string;
  /** Ends the start. */
  readonly stopped: AbortSignal;
}

/** A running evaluation cluster. */
export interface ClusterDev {
  /** One line for the authority, then one an edge. */
  readonly lines: readonly string[];
  /** Stops every child that still runs. */
  stop(): Promise<void>;
}

/** Starts the cluster; its data folders and its key are below `dir`. CANCELLED: it was to stop meanwhile; no child is left. */
export async function startClusterDev({ nodes, dir, stopped }: ClusterDevOptions): Promise<ClusterDev> {
  await namingLater(`--dir ${dir}`, () => makeFolder(dir));
  const keyFile = join(dir, 'cluster.key');
  if (!existsSync(keyFile)) writeFileSync(keyFile, newClusterKey(), { mode: 0o600, flag: 'wx' });
  const children: ChildProcess[] = [];
  // Whatever ends this process.
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
  const stop = async (): Promise<void> => {
    const [primary, ...edges] = children;
    // Edges first: they say goodbye to an authority that still answers.
    await Promise.all(edges.map(end));
    if (primary !== undefined) await end(primary);
  };
  const start = async (name: string, args: readonly string[]): Promise<string> => {
    const common = ['--data', join(dir, name), '--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0', '--auth', 'none'];
    const all = [...args, ...common, '--cluster-key', keyFile, '--site', name, '--log-level', 'warn'];
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...all], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // Its own group: the terminal's Ctrl-C reaches this process alone, which stops the children in order.
      detached: true,
    });
    children.push(child);
    return firstLine(name, child, stopped);
  };
  try {
    const primary = await start('primary', ['primary', '--sqld-port', '0']);
    const grpc = /grpc=(\S+)/.exec(primary)?.[1] ?? '';
    const lines = [primary];
    for (let index = 1; index <= nodes; index += 1)
      lines.push(await start(`node${index}`, ['serve', '--primary', grpc]));
    return { lines, stop };
  } catch (error) {
    await stop();
    if (stopped.aborted)
      throw new ServiceError('CANCELLED', 'the cluster was stopped while it started', { cause: error });
    throw error;
  }
}

async function firstLine(name: string, child: ChildProcess, stopped: AbortSignal): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error('the output of a child is a pipe');
  const lines = createInterface({ input: stdout });
  const line = await Promise.race([
    once(lines, 'line', { signal: stopped }).then(([text]) => String(text)),
    once(child, 'exit').then(() => undefined),
  ]);
  if (line === undefined) throw new ServiceError('UNAVAILABLE', `${name} ended before it was ready; its log is above`);
  return line;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(force);
}
