/**
 * The two calls of Keystone v3 that validation needs (Identity API v3, "Password authentication with scoped
 * authorization" and "Validate and show information for token"). The service user's own token is got when first needed,
 * renewed before it expires, and once more when Keystone answers 401 to it.
 */
import { readFile } from 'node:fs/promises';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { Agent, type Dispatcher } from 'undici';
import { ServiceError } from '../base/service-error.js';
import type { Clock } from '../application/ports/clock.js';

/** How to reach Keystone; `Config['auth']['keystone']` fits. */
export interface KeystoneOptions {
  /** Ends in `/v3`. */
  readonly url: string;
  readonly username: string;
  readonly passwordFile: string;
  readonly project: string;
  readonly userDomain: string;
  readonly projectDomain: string;
  readonly caFile: string | null;
  readonly cacheTtlMs: number;
  readonly outageTtlMs: number;
}

const TokenBody = Type.Object({
  token: Type.Object({
    expires_at: Type.String(),
    user: Type.Optional(Type.Object({ id: Type.String() })),
    project: Type.Optional(Type.Object({ id: Type.String() })),
    roles: Type.Optional(Type.Array(Type.Object({ name: Type.String() }))),
  }),
});

/** What Keystone says of a token. */
export type KeystoneToken = Static<typeof TokenBody>['token'];

const CONNECT_TIMEOUT_MS = 3000;
const CALL_TIMEOUT_MS = 10_000;
/** Our own token is renewed when it has less than this left. */
const RENEW_BEFORE_MS = 120_000;
/** A token with a big catalog is asked for without it; what remains is a few KB. */
const MOST_BODY_BYTES = 1024 * 1024;
const CONNECTIONS = 16;

interface ServiceToken {
  readonly value: string;
  readonly expiresAtMs: number;
}

interface Answer {
  readonly status: number;
  readonly subjectToken: string | undefined;
  readonly body: unknown;
}

/** A client of one Keystone. */
export class KeystoneClient {
  /** The `/v3` URL. */
  readonly url: string;
  readonly #options: KeystoneOptions;
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  #own: ServiceToken | undefined;
  #renewal: Promise<ServiceToken> | undefined;

  private constructor(options: KeystoneOptions, dispatcher: Dispatcher, clock: Clock) {
    this.url = options.url;
    this.#options = options;
    this.#dispatcher = dispatcher;
    this.#clock = clock;
  }

  /** Makes a client; contacts nobody. INVALID_ARGUMENT: the password file or the CA cannot be read or is empty. */
  static async open(options: KeystoneOptions, clock: Clock): Promise<KeystoneClient> {
    await readPassword(options.passwordFile);
    const ca = options.caFile === null ? undefined : await readNamed(options.caFile, 'ca_file');
    const dispatcher = new Agent({
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(ca === undefined ? {} : { ca }) },
      headersTimeout: CALL_TIMEOUT_MS,
      bodyTimeout: CALL_TIMEOUT_MS,
      maxResponseSize: MOST_BODY_BYTES,
    });
    return new KeystoneClient(options, dispatcher, clock);
  }

  /**
   * Asks Keystone about a token; undefined when it does not know it, or no longer. UNAVAILABLE: Keystone does not answer, or
   * fails. UPSTREAM_FAILED: it refuses our service user, or answers what is not the Identity API.
   */
  async validate(token: string): Promise<KeystoneToken | undefined> {
    const first = await this.#ask(token, await this.#ownToken());
    // Our own token may have been revoked, or Keystone's keys rotated: once more with a new one.
    const answer = first.status === 401 ? await this.#ask(token, await this.#renew()) : first;
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw failed('the validation of a token', answer.status);
    return parseToken(answer.body);
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #ask(token: string, own: ServiceToken): Promise<Answer> {
    // Without the catalog the answer is 1 KB instead of tens.
    return this.#call('GET', '/auth/tokens?nocatalog', { 'x-auth-token': own.value, 'x-subject-token': token }, null);
  }

  async #ownToken(): Promise<ServiceToken> {
    const own = this.#own;
    if (own !== undefined && own.expiresAtMs - this.#clock.nowMs() > RENEW_BEFORE_MS) return own;
    return this.#renew();
  }

  /** Gets a new token of our own, once for all who wait. */
  async #renew(): Promise<ServiceToken> {
    this.#renewal ??= this.#authenticate().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #authenticate(): Promise<ServiceToken> {
    const { username, passwordFile, project, userDomain, projectDomain } = this.#options;
    // Read each time, so that a changed password needs no restart.
    const password = await readPassword(passwordFile);
    const user = { name: username, domain: { name: userDomain }, password };
    const scope = { project: { name: project, domain: { name: projectDomain } } };
    const auth = { identity: { methods: ['password'], password: { user } }, scope };
    const answer = await this.#call('POST', '/auth/tokens?nocatalog', {}, JSON.stringify({ auth }));
    if (answer.status !== 201 || answer.subjectToken === undefined) {
      throw failed('the password of the service user', answer.status);
    }
    const expiresAtMs = Date.parse(parseToken(answer.body).expires_at);
    this.#own = { value: answer.subjectToken, expiresAtMs };
    return this.#own;
  }

  async #call(
    method: 'GET' | 'POST',
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | null,
  ): Promise<Answer> {
    const url = new URL(`${this.#options.url}${path}`);
    try {
      const response = await this.#dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
        body,
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      });
      const text = await response.body.text();
      const subject = response.headers['x-subject-token'];
      return {
        status: response.statusCode,
        subjectToken: typeof subject === 'string' ? subject : undefined,
        body: response.statusCode < 300 ? JSON.parse(text) : undefined,
      };
    } catch (cause) {
      const message = 'The Identity service (Keystone) does not answer; tokens cannot be validated now.';
      throw new ServiceError('UNAVAILABLE', message, { cause, details: { retry_after: '5' } });
    }
  }
}

function parseToken(body: unknown): KeystoneToken {
  if (Value.Check(TokenBody, body) && !Number.isNaN(Date.parse(body.token.expires_at))) return body.token;
  throw new ServiceError('UPSTREAM_FAILED', 'The Identity service (Keystone) answered what is not a token.');
}

function failed(what: string, status: number): ServiceError {
  if (status >= 500 || status === 429) {
    const message = `The Identity service (Keystone) failed at ${what} with HTTP ${status}.`;
    return new ServiceError('UNAVAILABLE', message, { details: { retry_after: '5' } });
  }
  const message = `The Identity service (Keystone) refused ${what} with HTTP ${status}: check [auth.keystone].`;
  return new ServiceError('UPSTREAM_FAILED', message);
}

async function readPassword(file: string): Promise<string> {
  const password = (await readNamed(file, 'password_file')).split(/\r?\n/, 1)[0] ?? '';
  if (password !== '') return password;
  throw new ServiceError('INVALID_ARGUMENT', `[auth.keystone] password_file: its first line is empty (${file})`);
}

async function readNamed(file: string, option: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ServiceError('INVALID_ARGUMENT', `[auth.keystone] ${option}: cannot read ${file}`, { cause });
  }
}
