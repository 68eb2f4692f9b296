/**
 * A real Keystone on loopback for tests: Debian's packages `keystone`, `uwsgi-core` and `uwsgi-plugin-python3`, a fresh
 * SQLite database and Fernet keys in a temporary folder, a free port. Users and projects are made over its own API.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const WSGI = '/usr/bin/keystone-wsgi-public';
// Debian's Python, not one that a developer has in front of it.
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', PYTHONDONTWRITEBYTECODE: '1', no_proxy: '*' };

/** A user to make: a password, a project and roles in it. */
export interface KeystoneUser {
  readonly name: string;
  readonly password: string;
  readonly project: string;
  readonly roles: readonly string[];
}

export interface TestKeystone {
  /** Ends in `/v3`. */
  readonly url: string;
  /** Ids of projects by name. */
  readonly projects: ReadonlyMap<string, string>;
  /** Ids of users by name. */
  readonly users: ReadonlyMap<string, string>;
  /** A token of the user, scoped to its project, or unscoped. */
  token(user: KeystoneUser, scope?: 'project' | 'none'): Promise<string>;
  revoke(token: string): Promise<void>;
  /** Makes the image service's endpoint in the catalog. */
  setImageEndpoint(url: string): Promise<void>;
  /** Makes a service and its endpoint in the catalog. */
  setEndpoint(service: { readonly type: string; readonly name: string }, url: string): Promise<void>;
  /** Stops the process (an outage). */
  halt(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  resume(): Promise<void>;
  /** Stops it and removes its folder. */
  stop(): Promise<void>;
}

/** Tells whether the programs are installed. */
export function hasKeystone(): boolean {
  return ['/usr/bin/keystone-manage', '/usr/bin/uwsgi', WSGI].every((file) => {
    try {
      accessSync(file, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const ADMIN: KeystoneUser = { name: 'admin', password: 'admin', project: 'admin', roles: ['admin'] };

/** Starts a Keystone with these users beside `admin` (password and project `admin`). */
export async function startKeystone(users: readonly KeystoneUser[]): Promise<TestKeystone> {
  const folder = mkdtempSync(join(tmpdir(), 'oriel-keystone-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/v3`;
  const config = writeConfig(folder);
  await bootstrap(config, url);
  let process = launch(folder, config, port);
  const halt = async (): Promise<void> => endOf(process);
  const resume = async (): Promise<void> => {
    process = launch(folder, config, port);
    await waitFor(url, process, folder);
  };
  try {
    await waitFor(url, process, folder);
    const api = await KeystoneApi.open(url);
    const ids = await api.fill(users);
    return {
      url,
      ...ids,
      token: async (user, scope = 'project') => (await api.signIn(user, scope)).token,
      revoke: async (token) => api.revoke(token),
      setImageEndpoint: async (endpoint) => api.setEndpoint({ type: 'image', name: 'glance' }, endpoint),
      setEndpoint: async (service, endpoint) => api.setEndpoint(service, endpoint),
      halt,
      resume,
      stop: async () => {
        await halt();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await halt();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function writeConfig(folder: string): string {
  for (const name of ['fernet', 'credential', 'policy.d']) mkdirSync(join(folder, name), { mode: 0o700 });
  const file = join(folder, 'keystone.conf');
  writeFileSync(
    file,
    `[DEFAULT]
use_stderr = true
max_token_size = 255
[database]
connection = sqlite:///${folder}/keystone.db
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = ${folder}/fernet
[credential]
key_repository = ${folder}/credential
[cache]
enabled = true
backend = dogpile.cache.memory
[oslo_policy]
enforce_scope = false
enforce_new_defaults = false
policy_dirs = ${folder}/policy.d
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
`,
  );
  return file;
}

async function bootstrap(config: string, url: string): Promise<void> {
  const me = userInfo().username;
  const manage = async (...args: string[]) =>
    run('/usr/bin/keystone-manage', ['--config-file', config, ...args], { env: ENVIRONMENT });
  await manage('db_sync');
  await manage('fernet_setup', '--keystone-user', me, '--keystone-group', me);
  await manage('credential_setup', '--keystone-user', me, '--keystone-group', me);
  const urls = ['admin', 'internal', 'public'].flatMap((kind) => [`--bootstrap-${kind}-url`, url]);
  await manage('bootstrap', '--bootstrap-password', ADMIN.password, '--bootstrap-region-id', 'RegionOne', ...urls);
}

function launch(folder: string, config: string, port: number): ChildProcess {
  const log = openSync(join(folder, 'log'), 'a');
  const args = ['--plugin', 'python3', '--http-socket', `127.0.0.1:${port}`, '--wsgi-file', WSGI, '--master'];
  args.push('--die-on-term', '--processes', '1', '--enable-threads', '--buffer-size', '65535', '--disable-logging');
  args.push('--lazy-apps', '--add-header', 'Connection: close', '--pyargv', `--config-file ${config}`);
  const env = { ...ENVIRONMENT, OS_KEYSTONE_CONFIG_FILES: config };
  return spawn('/usr/bin/uwsgi', args, { cwd: folder, env, stdio: ['ignore', log, log] });
}

async function endOf(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = new Promise((resolve) => process.once('exit', resolve));
  process.kill('SIGTERM');
  await ended;
}

async function waitFor(url: string, process: ChildProcess, folder: string): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (Date.now() < deadline && process.exitCode === null) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const tail = readFileSync(join(folder, 'log'), 'utf8').slice(-2000);
  throw new Error(`Keystone does not answer at ${url}:\n${tail}`);
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

interface Named {
  readonly id: string;
  readonly name?: string;
  readonly type?: string;
}

class KeystoneApi {
  readonly #url: string;
  #token = '';

  private constructor(url: string) {
    this.#url = url;
  }

  static async open(url: string): Promise<KeystoneApi> {
    const api = new KeystoneApi(url);
    api.#token = (await api.signIn(ADMIN, 'project')).token;
    return api;
  }

  async signIn(user: KeystoneUser, scope: 'project' | 'none'): Promise<{ readonly token: string }> {
    const domain = { id: 'default' };
    const identity = {
      methods: ['password'],
      password: { user: { name: user.name, domain, password: user.password } },
    };
    const scoped = scope === 'none' ? 'unscoped' : { project: { name: user.project, domain } };
    const body = JSON.stringify({ auth: { identity, scope: scoped } });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${this.#url}/auth/tokens`, { method: 'POST', headers, body });
    const token = answer.headers.get('x-subject-token');
    if (answer.status !== 201 || token === null) throw new Error(`sign in of ${user.name}: HTTP ${answer.status}`);
    return { token };
  }

  async revoke(token: string): Promise<void> {
    const headers = { 'x-auth-token': this.#token, 'x-subject-token': token };
    const answer = await fetch(`${this.#url}/auth/tokens`, { method: 'DELETE', headers });
    if (answer.status !== 204) throw new Error(`revoke: HTTP ${answer.status}`);
  }

  async setEndpoint(fields: { readonly type: string; readonly name: string }, url: string): Promise<void> {
    const service = await this.#make('services', 'service', fields);
    for (const kind of ['public', 'internal', 'admin']) {
      const endpoint = { service_id: service.id, interface: kind, url, region_id: 'RegionOne' };
      await this.#send('POST', '/endpoints', { endpoint });
    }
  }

  async fill(users: readonly KeystoneUser[]) {
    const projects = new Map<string, string>();
    const ids = new Map<string, string>();
    for (const user of users) {
      const project = await this.#make('projects', 'project', { name: user.project, domain_id: 'default' });
      projects.set(user.project, project.id);
      const fields = { name: user.name, password: user.password, domain_id: 'default' };
      const made = await this.#make('users', 'user', fields);
      ids.set(user.name, made.id);
      for (const name of user.roles) {
        const role = await this.#make('roles', 'role', { name });
        await this.#send('PUT', `/projects/${project.id}/users/${made.id}/roles/${role.id}`);
      }
    }
    return { projects, users: ids };
  }

  /** Finds a thing by its name, or makes it. */
  async #make(plural: string, kind: string, fields: Readonly<Record<string, string>>): Promise<Named> {
    const list = (await this.#send('GET', `/${plural}?name=${fields['name'] ?? ''}`)) as Record<string, Named[]>;
    const found = list[plural]?.[0];
    if (found !== undefined) return found;
    const made = (await this.#send('POST', `/${plural}`, { [kind]: fields })) as Record<string, Named>;
    const thing = made[kind];
    if (thing === undefined) throw new Error(`Keystone made no ${kind}`);
    return thing;
  }

  async #send(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(`${this.#url}${path}`, {
      method,
      headers: { 'x-auth-token': this.#token, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`Keystone ${method} ${path}: HTTP ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  }
}
