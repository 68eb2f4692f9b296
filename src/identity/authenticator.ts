/**
 * Puts the ways to prove who one is in a row (DESIGN §8). A token is shown to each configured mode in order, and the first
 * that recognises it decides. Without a token, a verified client certificate or the unix socket makes the caller a host.
 * Tokens are never logged and never part of a message.
 */
import { ServiceError } from '../base/service-error.js';
import type { Authenticator, Credentials } from '../application/ports/authenticator.js';
import type { Clock } from '../application/ports/clock.js';
import type { Caller } from '../domain/caller.js';
import { hostCaller, isHost } from './host.js';
import type { KeystoneOptions } from './keystone-client.js';
import { type StatementChecks, StatementVerifier } from './node-statement.js';
import { openCaller } from './open-mode.js';
import { TokenFileMode } from './token-file-mode.js';
import { type TokenHolder, type TokenMode, userCaller } from './token-holder.js';

/** The part of the configuration that decides about identity; `Config['auth']` fits. */
export interface AuthOptions {
  readonly modes: readonly ('none' | 'token' | 'keystone')[];
  readonly token: { readonly file: string };
  readonly keystone: KeystoneOptions | null;
}

export interface AuthDependencies {
  readonly clock: Clock;
  readonly log: { warn(facts: object, message: string): void };
  /** What other nodes say of their callers is believed by these; null: a node on its own, which believes none. */
  readonly statements: StatementChecks | null;
}

/**
 * Makes the authenticator. INVALID_ARGUMENT when a file it needs is missing, malformed or readable by others; the Identity
 * service itself need not be there yet.
 */
export async function createAuthenticator(options: AuthOptions, deps: AuthDependencies): Promise<Authenticator> {
  const own = await createModes(options, deps);
  const verifier = deps.statements === null ? undefined : new StatementVerifier(deps.statements);
  return {
    async authenticate(credentials) {
      const { statement } = credentials;
      if (statement === undefined) return own.authenticate(credentials);
      if (verifier === undefined)
        throw new ServiceError(
          'UNAUTHENTICATED',
          'This node is in no cluster and believes no statement of another node.',
        );
      return verifier.verify(statement);
    },
    close: () => own.close(),
  };
}

async function createModes(options: AuthOptions, deps: AuthDependencies): Promise<Authenticator> {
  if (options.modes.includes('none')) {
    return { authenticate: async (credentials) => Promise.resolve(openCaller(credentials)), close: async () => {} };
  }
  const modes: TokenMode[] = [];
  for (const mode of options.modes) {
    if (mode === 'token') modes.push(await TokenFileMode.open(options.token.file, deps));
    if (mode === 'keystone' && options.keystone !== null) {
      // Loaded where it is configured only: its HTTP client takes a fifth of the time of a start.
      const [{ KeystoneClient }, { KeystoneTokens }] = await Promise.all([
        import('./keystone-client.js'),
        import('./keystone-tokens.js'),
      ]);
      const client = await KeystoneClient.open(options.keystone, deps.clock);
      modes.push(new KeystoneTokens(client, { ...options.keystone, ...deps }));
    }
  }
  return new ChainAuthenticator(modes);
}

class ChainAuthenticator implements Authenticator {
  readonly #modes: readonly TokenMode[];

  constructor(modes: readonly TokenMode[]) {
    this.#modes = modes;
  }

  async authenticate(credentials: Credentials): Promise<Caller> {
    const { token, serviceToken } = credentials;
    if (token === undefined || token === '') {
      if (isHost(credentials)) return hostCaller(credentials);
      throw this.#refusal('The request you have made requires authentication: no token came (X-Auth-Token).');
    }
    const holder = await this.#recognise(token);
    if (holder === undefined) throw this.#refusal('The token is unknown, expired or revoked (X-Auth-Token).');
    const service = serviceToken === undefined || serviceToken === '' ? null : await this.#recognise(serviceToken);
    // keystonemiddleware, "Service tokens": a bad one spoils the request, it is not dropped in silence.
    if (service === undefined) throw this.#refusal('The token is unknown, expired or revoked (X-Service-Token).');
    return userCaller(holder, service?.roles ?? new Set());
  }

  async close(): Promise<void> {
    await Promise.all(this.#modes.map(async (mode) => mode.close()));
  }

  async #recognise(token: string): Promise<TokenHolder | undefined> {
    for (const mode of this.#modes) {
      const holder = await mode.recognise(token);
      if (holder !== undefined) return holder;
    }
    return undefined;
  }

  #refusal(message: string): ServiceError {
    const challenge = this.#modes.map((mode) => mode.challenge).join(', ');
    return new ServiceError('UNAUTHENTICATED', message, { details: { www_authenticate: challenge } });
  }
}
