/**
 * Mode `keystone`: what Keystone said of tokens, kept for a while.
 *
 * An entry is fresh for `cacheTtlMs`, then Keystone is asked again; it never outlives the token. When Keystone cannot
 * answer, an entry that is no longer fresh goes on until its token expires, and for `outageTtlMs` after it was validated at
 * most, so that callers at work survive an outage; tokens not seen before are refused with UNAVAILABLE. An entry from a time
 * that the clock has not reached (it was set back) is not fresh. Entries are found by SHA-256, so that memory holds no token.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { failedWith, ServiceError } from '../base/service-error.js';
import type { Clock } from '../application/ports/clock.js';
import type { KeystoneToken } from './keystone-client.js';
import { TOKEN_PREFIX } from './token-file.js';
import { roleSet, type TokenHolder, type TokenMode } from './token-holder.js';

/** Entries of tokens known and of tokens unknown; about 1 KB each. */
const MOST_ENTRIES = 10_000;
/** How long a token that Keystone did not know is refused without asking again. */
const UNKNOWN_TTL_MS = 10_000;
/** After a failure Keystone is left alone so long; each call would wait for its time-out. */
const REST_MS = 2000;
/** How many may wait for Keystone at a time; more would only pile up. */
const MOST_WAITING = 1000;
/** Keystone's `max_token_size` is 255; tokens of other providers stay under the header limit. */
const MOST_TOKEN_CHARACTERS = 8192;

/** Who answers about tokens: `KeystoneClient`. */
export interface TokenValidator {
  readonly url: string;
  validate(token: string): Promise<KeystoneToken | undefined>;
  close(): Promise<void>;
}

interface Entry {
  /** Undefined: Keystone does not know the token. */
  readonly holder: TokenHolder | undefined;
  /** When Keystone said it. */
  readonly saidAtMs: number;
  readonly freshUntilMs: number;
  /** How long it is believed when Keystone does not answer. */
  readonly goesOnUntilMs: number;
}

/** Recognises the tokens of Keystone. */
export class KeystoneTokens implements TokenMode {
  readonly challenge: string;
  readonly #validator: TokenValidator;
  readonly #cacheTtlMs: number;
  readonly #outageTtlMs: number;
  readonly #clock: Clock;
  readonly #log: { warn(facts: object, message: string): void };
  readonly #entries = new LRUCache<string, Entry>({ max: MOST_ENTRIES });
  readonly #asking = new Map<string, Promise<Entry>>();
  #restsUntilMs = Number.NEGATIVE_INFINITY;

  constructor(
    validator: TokenValidator,
    options: {
      readonly cacheTtlMs: number;
      readonly outageTtlMs: number;
      readonly clock: Clock;
      readonly log: { warn(facts: object, message: string): void };
    },
  ) {
    // As keystonemiddleware writes it (reference §2.3, "401 from auth filter").
    this.challenge = `Keystone uri="${validator.url}"`;
    this.#validator = validator;
    this.#cacheTtlMs = options.cacheTtlMs;
    this.#outageTtlMs = options.outageTtlMs;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  async recognise(token: string): Promise<TokenHolder | undefined> {
    // Not Keystone's: tokens of the file, and what no header of Keystone's may hold.
    if (token.startsWith(TOKEN_PREFIX) || !isPlain(token)) return undefined;
    const key = createHash('sha256').update(token).digest('base64');
    const entry = this.#entries.get(key);
    const nowMs = this.#clock.nowMs();
    if (entry !== undefined && nowMs >= entry.saidAtMs && nowMs < entry.freshUntilMs) return entry.holder;
    const goesOn = entry?.holder !== undefined && nowMs < entry.goesOnUntilMs;
    try {
      return (await this.#ask(key, token)).holder;
    } catch (error) {
      if (!goesOn || !failedWith(error, 'UNAVAILABLE')) throw error;
      this.#log.warn({ err: error }, 'Keystone does not answer: going on with what it said of a token before');
      // Asked again after the rest, not at every request of the outage.
      const freshUntilMs = Math.min(nowMs + REST_MS, entry.goesOnUntilMs);
      this.#entries.set(key, { ...entry, saidAtMs: Math.min(nowMs, entry.saidAtMs), freshUntilMs });
      return entry.holder;
    }
  }

  async close(): Promise<void> {
    await this.#validator.close();
  }

  /** Asks Keystone, once for all who show the same token. */
  async #ask(key: string, token: string): Promise<Entry> {
    const running = this.#asking.get(key);
    if (running !== undefined) return running;
    const restMs = this.#restsUntilMs - this.#clock.nowMs();
    // More than a whole rest is left when the clock was set back.
    if ((restMs > 0 && restMs <= REST_MS) || this.#asking.size >= MOST_WAITING) {
      const message = 'The Identity service (Keystone) does not answer; tokens cannot be validated now.';
      throw new ServiceError('UNAVAILABLE', message, { details: { retry_after: '5' } });
    }
    const asking = this.#validate(key, token).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #validate(key: string, token: string): Promise<Entry> {
    try {
      const entry = this.#entryOf(await this.#validator.validate(token));
      this.#entries.set(key, entry);
      return entry;
    } catch (error) {
      if (failedWith(error, 'UNAVAILABLE')) this.#restsUntilMs = this.#clock.nowMs() + REST_MS;
      throw error;
    }
  }

  #entryOf(token: KeystoneToken | undefined): Entry {
    const nowMs = this.#clock.nowMs();
    const expiresAtMs = token === undefined ? 0 : Date.parse(token.expires_at);
    if (token?.user === undefined || expiresAtMs <= nowMs) {
      const freshUntilMs = nowMs + Math.min(UNKNOWN_TTL_MS, this.#cacheTtlMs);
      return { holder: undefined, saidAtMs: nowMs, freshUntilMs, goesOnUntilMs: 0 };
    }
    // A token without a project (domain, system or no scope) is a caller without a project: it owns nothing.
    const projectId = token.project?.id ?? null;
    const roles = roleSet((token.roles ?? []).map((role) => role.name));
    const freshUntilMs = Math.min(nowMs + this.#cacheTtlMs, expiresAtMs);
    const goesOnUntilMs = Math.min(nowMs + this.#outageTtlMs, expiresAtMs);
    return { holder: { userId: token.user.id, projectId, roles }, saidAtMs: nowMs, freshUntilMs, goesOnUntilMs };
  }
}

/** Tells whether the text can be the value of a header: visible ASCII, not too long. */
function isPlain(token: string): boolean {
  return token.length <= MOST_TOKEN_CHARACTERS && /^[\x21-\x7e]+$/.test(token);
}
