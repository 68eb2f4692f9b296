/** A real node in a process of its own, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ORIEL_PROGRAM, REPOSITORY } from './repository.js';
import { tempFolder } from './temp-folder.js';
import { cleanEnvironment } from './tool.js';

export interface NodeOptions {
  /** The command that runs it: `serve` unless told. */
  readonly role?: 'serve' | 'primary';
  /** Further arguments of that command. */
  readonly args?: readonly string[];
  /** Kept when the node stops; without it a temporary folder is made and removed. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs before the program, such as `prlimit --fsize=…`. */
  readonly wrapper?: readonly string[];
}

export interface TestNode {
  /** `http://127.0.0.1:PORT` */
  readonly httpUrl: string;
  /** `127.0.0.1:PORT` */
  readonly grpcAddress: string;
  readonly socketPath: string;
  readonly site: string;
  readonly pid: number;
  /** The server of the catalog that `oriel primary` runs; 0: none. */
  readonly sqldPid: number;
  readonly dataDir: string;
  /** Sends the signal and waits for the end of the process. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Ends it as an operator does (SIGTERM), fails unless it exits 0, and removes the data folder that was made for it. */
  stop(): Promise<void>;
  /** The end of what the node wrote to stderr: its log. */
  stderr(): string;
}

const READY =
  /^(?:ready|primary pid=\d+ sqld_pid=(?<sqld>\d+)) http=(?<http>\S+) grpc=(?<grpc>\S+)(?: socket=(?<socket>\S+) site=(?<site>\S+))?$/;
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;
const LOG_LIMIT_BYTES = 1024 * 1024;

/** Starts `oriel serve` and waits for its line `ready …`; fails with the node's log when it ends or stays silent. */
export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const folder = options.dataDir === undefined ? await tempFolder('node') : undefined;
  const dataDir = options.dataDir ?? folder?.path ?? '';
  const command = [
    ...(options.wrapper ?? []),
    process.execPath,
    ORIEL_PROGRAM,
    options.role ?? 'serve',
    ...['--data', dataDir, '--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0'],
    ...['--socket', path.join(dataDir, 'oriel.sock')],
    ...(options.args ?? []),
  ];
  const child = spawn(command[0] ?? process.execPath, command.slice(1), {
    cwd: REPOSITORY,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = keepEnd(child);
  const said = { site: '', socketPath: path.join(dataDir, 'oriel.sock') };
  const ready = await waitForReady(child, log).catch(async (error: unknown) => {
    await folder?.remove();
    throw error;
  });
  return {
    ...said,
    ...ready,
    dataDir,
    pid: child.pid ?? 0,
    stderr: log,
    kill: async (signal) => {
      if (isRunning(child)) await endWith(child, signal, log);
    },
    stop: async () => {
      const code = isRunning(child) ? await endWith(child, 'SIGTERM', log) : 0;
      await folder?.remove();
      if (code !== 0) throw new Error(`the node ended with ${String(code)} after SIGTERM:\n${log()}`);
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function keepEnd(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-LOG_LIMIT_BYTES);
  });
  return () => text;
}

async function waitForReady(
  child: ChildProcess,
  log: () => string,
): Promise<Pick<TestNode, 'httpUrl' | 'grpcAddress' | 'sqldPid'> & Partial<Pick<TestNode, 'socketPath' | 'site'>>> {
  if (child.stdout === null) throw new Error('the node has no stdout');
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the node was not ready after ${START_LIMIT_MS} ms:\n${log()}`));
    }, START_LIMIT_MS);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`the node ended (${String(code ?? signal)}) before it was ready:\n${log()}`));
    });
    lines.on('line', (line) => {
      const found = READY.exec(line)?.groups;
      if (found === undefined) return;
      clearTimeout(timer);
      resolve({
        httpUrl: found['http'] ?? '',
        grpcAddress: found['grpc'] ?? '',
        sqldPid: Number(found['sqld'] ?? '0'),
        ...(found['socket'] === undefined ? {} : { socketPath: found['socket'], site: found['site'] ?? '' }),
      });
    });
  });
}

/** Sends the signal and returns the exit status of the process, null when a signal ended it. */
async function endWith(child: ChildProcess, signal: NodeJS.Signals, log: () => string): Promise<number | null> {
  const ended = once(child, 'exit');
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  const [code, by] = (await ended) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  if (by === 'SIGKILL' && signal !== 'SIGKILL')
    throw new Error(`the node did not end within ${STOP_LIMIT_MS} ms of ${signal}:\n${log()}`);
  return code;
}
