/**
 * One run of `sqld`.
 *
 *   starting --answers, durable--> ready --any end of the process--> exited
 *
 * It runs in a session of its own, so that the terminal's Ctrl-C reaches the primary alone, which then ends it after its
 * last write. Should the primary be killed, a watcher, a shell that reads a pipe of the primary's until it closes, sends
 * it SIGTERM: a clean stop keeps the id of its log, without which every replica would copy the catalog anew.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { loopbackPort } from './loopback-port.js';
import { durabilityOf, makeDurable } from './sqld-admin.js';

export interface SqldSettings {
  readonly program: string;
  /** Its folder, absolute. */
  readonly directory: string;
  readonly port: number;
  readonly publicKeyPath: string;
  /** Milliseconds between SIGTERM and SIGKILL. */
  readonly graceMs: number;
}

const OUTPUT_LINES = 20;
const OUTPUT_LINE_LENGTH = 300;
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 10;

export class SqldProcess {
  readonly port: number;
  readonly exited: Promise<string>;
  readonly #child: ChildProcess;
  readonly #graceMs: number;
  readonly #admin: { readonly port: number; readonly key: string };
  #output: readonly string[] = [];
  #ended = false;

  private constructor(settings: SqldSettings, admin: { readonly port: number; readonly key: string }) {
    this.port = settings.port;
    this.#graceMs = settings.graceMs;
    this.#admin = admin;
    this.#child = spawn(settings.program, argumentsOf(settings, admin.port), {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      // Of its environment only what we mean: a stray SQLD_… would open another listener. The key is not an argument,
      // since those can be read by every user of the machine.
      env: { RUST_LOG: 'error', RUST_BACKTRACE: '0', LIBSQL_ADMIN_AUTH_KEY: admin.key },
    });
    this.#child.stdout?.on('data', (data: Buffer) => this.#keep(data));
    this.#child.stderr?.on('data', (data: Buffer) => this.#keep(data));
    const watcher = this.#child.pid === undefined ? undefined : watch(this.#child.pid);
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#ended = true;
        watcher?.kill('SIGKILL');
        resolve(how);
      };
      this.#child.once('exit', (code, signal) => {
        end(signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`);
      });
      this.#child.once('error', (error) => end(error.message));
    });
  }

  /** Starts it; `ready` says when it answers. */
  static async start(settings: SqldSettings): Promise<SqldProcess> {
    return new SqldProcess(settings, { port: await loopbackPort(0), key: randomBytes(24).toString('base64url') });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The last lines that it printed. */
  get output(): string {
    return this.#output.join('\n');
  }

  /** Resolves when it answers and its commits are durable. @throws Error with its output when it ends before. */
  async ready(): Promise<void> {
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    let problem = 'no answer';
    for (;;) {
      if (this.#ended) throw new Error(`sqld ended at its start (${await this.exited}): ${this.output}`);
      if (Date.now() > deadlineMs) throw new Error(`sqld is not ready after ${START_TIMEOUT_MS} ms: ${problem}`);
      try {
        // Also proves that the one who answers is ours, and no stranger on the same port: nobody else has this key.
        const durability = (await isHealthy(this.port))
          ? await makeDurable(this.#admin.port, this.#admin.key)
          : 'unset';
        if (durability === 'strong') return;
        problem = `durability is ${durability}`;
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
      }
      await sleep(POLL_MS);
    }
  }

  /** How durable its commits are: `relaxed` or `strong`. */
  async durability(): Promise<string> {
    return await durabilityOf(this.#admin.port, this.#admin.key);
  }

  /**
   * Whether a thread of it runs or waits for the disk. Not so when it is wedged: all its threads wait for each other.
   * False where there is no /proc.
   */
  isWorking(): boolean {
    try {
      const tasks = `/proc/${this.pid ?? 0}/task`;
      return readdirSync(tasks).some((task) => {
        const stat = readFileSync(`${tasks}/${task}/stat`, 'utf8');
        return /^[RD]/.test(stat.slice(stat.lastIndexOf(')') + 2));
      });
    } catch {
      return false;
    }
  }

  /** Ends it, by force when it does not heed. */
  async stop(): Promise<void> {
    if (!this.#ended) this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), this.#graceMs);
    await this.exited;
    clearTimeout(force);
  }

  #keep(data: Buffer): void {
    const lines = data
      .toString()
      .split('\n')
      .filter((line) => line !== '');
    const cut = lines.map((line) => line.slice(0, OUTPUT_LINE_LENGTH));
    this.#output = [...this.#output, ...cut].slice(-OUTPUT_LINES);
  }
}

function argumentsOf(settings: SqldSettings, adminPort: number): readonly string[] {
  return [
    '--db-path',
    settings.directory,
    '--http-listen-addr',
    `127.0.0.1:${settings.port}`,
    '--admin-listen-addr',
    `127.0.0.1:${adminPort}`,
    '--auth-jwt-key-file',
    settings.publicKeyPath,
    '--no-welcome',
  ];
}

function watch(pid: number): ChildProcess {
  const watcher = spawn('/bin/sh', ['-c', 'read nothing; kill -TERM "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: {},
  });
  // Without a shell the note of the process id (sqld-leftover.ts) is left.
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  return watcher;
}

function isHealthy(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port, path: '/health', agent: false, timeout: 2000 }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
      response.on('error', () => resolve(false));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
  });
}
