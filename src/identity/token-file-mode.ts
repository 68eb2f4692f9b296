/** Mode `token`: tokens from a file, read again when the file changes. */
import { timingSafeEqual } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { ServiceError } from '../base/service-error.js';
import type { Clock } from '../application/ports/clock.js';
import { digestOf, readTokenFile, TOKEN_PREFIX, type TokenRecord } from './token-file.js';
import { roleSet, type TokenHolder, type TokenMode } from './token-holder.js';

/** How long the file is believed unchanged: a revoked token works so long at most. */
const LOOK_AGAIN_MS = 1000;

interface KnownToken {
  readonly digest: Buffer;
  readonly holder: TokenHolder;
  /** Infinity: never. */
  readonly expiresAtMs: number;
}

/** Recognises the tokens of the file. */
export class TokenFileMode implements TokenMode {
  readonly challenge = 'Token realm="oriel"';
  readonly #file: string;
  readonly #clock: Clock;
  #tokens: ReadonlyMap<string, KnownToken> = new Map();
  #fingerprint = '';
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  private constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  /** Reads the file for the first time; one that is not there may come later. Reasons: as `readTokenFile`. */
  static async open(file: string, deps: { readonly clock: Clock }): Promise<TokenFileMode> {
    const mode = new TokenFileMode(file, deps.clock);
    await mode.#load();
    return mode;
  }

  async recognise(token: string): Promise<TokenHolder | undefined> {
    if (!token.startsWith(TOKEN_PREFIX)) return undefined;
    await this.#refresh();
    const digest = digestOf(token);
    const known = this.#tokens.get(digest);
    // The map compares in an order that depends on digests, which tell nothing of tokens; the last word is in constant time.
    if (known === undefined || !timingSafeEqual(known.digest, Buffer.from(digest, 'hex'))) return undefined;
    return known.expiresAtMs > this.#clock.nowMs() ? known.holder : undefined;
  }

  async close(): Promise<void> {
    await this.#looking;
  }

  /** Looks whether the file changed, once in a while and once for all who wait. */
  async #refresh(): Promise<void> {
    if (this.#clock.nowMs() - this.#lookedAtMs < LOOK_AGAIN_MS) return;
    this.#looking ??= this.#load().finally(() => {
      this.#looking = undefined;
    });
    try {
      await this.#looking;
    } catch (cause) {
      // Going on with the tokens read before could let a revoked one in.
      const message = 'The tokens of this service cannot be read now.';
      throw new ServiceError('UNAVAILABLE', message, { cause, details: { retry_after: '5' } });
    }
  }

  async #load(): Promise<void> {
    const fingerprint = await fingerprintOf(this.#file);
    if (fingerprint !== this.#fingerprint) {
      this.#tokens = new Map((await readTokenFile(this.#file)).map((record) => [record.sha256, known(record)]));
      this.#fingerprint = fingerprint;
    }
    this.#lookedAtMs = this.#clock.nowMs();
  }
}

function known(record: TokenRecord): KnownToken {
  return {
    digest: Buffer.from(record.sha256, 'hex'),
    holder: { userId: record.user, projectId: record.project, roles: roleSet(record.roles) },
    expiresAtMs: record.expires_at === null ? Number.POSITIVE_INFINITY : Date.parse(record.expires_at),
  };
}

async function fingerprintOf(file: string): Promise<string> {
  try {
    const facts = await stat(file, { bigint: true });
    return [facts.ino, facts.size, facts.mtimeNs, facts.ctimeNs, facts.mode].join(':');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'absent';
    throw error;
  }
}
