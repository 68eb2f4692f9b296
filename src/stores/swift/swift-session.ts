/** Who we are to Swift: a token and the URL of our account, from TempAuth (version 1) or Keystone (version 3). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreId } from '../../base/brand.js';
import { ServiceError } from '../../base/service-error.js';
import { readSecretLine } from '../remote/secret-file.js';
import { type HttpHead, type HttpRequest, NoAnswer, type Transport } from '../remote/transport.js';

export interface SwiftAccount {
  readonly token: string;
  /** Without a slash at the end. */
  readonly storageUrl: string;
}

export interface SwiftLogin {
  readonly id: StoreId;
  readonly authUrl: string;
  /** `account:user` (1) or `project:user` (3). */
  readonly user: string;
  readonly keyFile: string;
  readonly authVersion: '1' | '3';
}

export class SwiftSession {
  readonly #login: SwiftLogin;
  readonly #transport: Transport;
  /** One login serves all who wait for it. */
  #account: Promise<SwiftAccount> | undefined;
  #storageUrl: string | undefined;

  constructor(login: SwiftLogin, transport: Transport) {
    this.#login = login;
    this.#transport = transport;
  }

  /** The account; logs in when there is no token. UNAVAILABLE: the login is refused, or not answered. */
  account(): Promise<SwiftAccount> {
    if (this.#account !== undefined) return this.#account;
    const account = this.#logIn();
    this.#account = account;
    account.catch(() => {
      if (this.#account === account) this.#account = undefined;
    });
    return account;
  }

  /** The URL of the account as the last login gave it; undefined: there was none. */
  get storageUrl(): string | undefined {
    return this.#storageUrl;
  }

  /** Tries to log in, for so long at most; that the service does not answer is no failure. */
  async reach(limitMs: number): Promise<void> {
    const login = this.account().catch(() => undefined);
    await Promise.race([login, sleep(limitMs, undefined, { ref: false })]);
  }

  /** Drops a token that was refused; a newer one stays. */
  async drop(token: string): Promise<void> {
    const account = this.#account;
    if (account === undefined || (await account).token !== token) return;
    if (this.#account === account) this.#account = undefined;
  }

  async #logIn(): Promise<SwiftAccount> {
    const { keyFile, id, authVersion } = this.#login;
    // Read anew at each login, so that a changed key needs no restart.
    const key = await readSecretLine(keyFile, 'key_file', id);
    return authVersion === '1' ? this.#byTempAuth(key) : this.#byKeystone(key);
  }

  // Swift, "Auth system": TempAuth answers GET with the account's URL and a token.
  async #byTempAuth(key: string): Promise<SwiftAccount> {
    const { user, authUrl } = this.#login;
    const headers = { 'x-auth-user': user, 'x-auth-key': key };
    const answer = await this.#ask({ method: 'GET', url: authUrl, headers }, [200, 204]);
    return this.#accountOf(answer.headers['x-auth-token'], answer.headers['x-storage-url']);
  }

  // Keystone API v3, "Password authentication with scoped authorization"; the domains are `default`, as Glance's.
  async #byKeystone(password: string): Promise<SwiftAccount> {
    const { user: login, authUrl } = this.#login;
    const [project, name] = [login.slice(0, login.indexOf(':')), login.slice(login.indexOf(':') + 1)];
    const domain = { id: 'default' };
    const identity = { methods: ['password'], password: { user: { name, domain, password } } };
    const bytes = Buffer.from(JSON.stringify({ auth: { identity, scope: { project: { name: project, domain } } } }));
    const base = authUrl.endsWith('/v3') ? authUrl : `${authUrl}/v3`;
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const body = { slabs: [bytes], sizeBytes: bytes.length };
    const answer = await this.#ask({ method: 'POST', url: `${base}/auth/tokens`, headers, body }, [201]);
    return this.#accountOf(answer.headers['x-subject-token'], publicObjectStore(answer.text));
  }

  async #ask(request: HttpRequest, accept: readonly number[]): Promise<HttpHead & { readonly text: string }> {
    const answer = await this.#transport.call(request).catch((error: unknown) => {
      if (!(error instanceof NoAnswer)) throw error;
      throw this.#error(`logging in: the Identity service ${error.message}`, error);
    });
    if (accept.includes(answer.status)) return answer;
    const refused = answer.status === 401 || answer.status === 403 ? ': it refuses our credentials' : '';
    throw this.#error(`logging in: the Identity service answered HTTP ${answer.status}${refused}`);
  }

  #accountOf(token: string | undefined, storageUrl: string | undefined): SwiftAccount {
    if (token === undefined || storageUrl === undefined || !URL.canParse(storageUrl))
      throw this.#error('logging in: the Identity service names no object store for our user');
    this.#storageUrl = storageUrl.replace(/\/+$/, '');
    return { token, storageUrl: this.#storageUrl };
  }

  #error(problem: string, cause?: unknown): ServiceError {
    return new ServiceError('UNAVAILABLE', `store ${this.#login.id}: ${problem}`, { cause });
  }
}

/** The first public endpoint of the object store in a token's catalog. */
function publicObjectStore(text: string): string | undefined {
  const token = fieldOf(parsed(text), 'token');
  for (const service of listOf(fieldOf(token, 'catalog'))) {
    if (fieldOf(service, 'type') !== 'object-store') continue;
    for (const endpoint of listOf(fieldOf(service, 'endpoints'))) {
      const url = fieldOf(endpoint, 'url');
      if (fieldOf(endpoint, 'interface') === 'public' && typeof url === 'string') return url;
    }
  }
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
