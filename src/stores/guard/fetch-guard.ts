/**
 * The one way by which the service fetches from a URL that somebody else chose (Images API v2 §14.2):
 *
 *   text of the URL (url-rules) → addresses of its host (address-rules) → connection to just those (guarded-connector) →
 *   head of the answer; a redirect begins again, at most three times → body, bounded in size and time
 *
 * What the text alone shows is told. What a look at the network shows is not: whether a port is closed, silent or refused, whether
 * a name has an address inside, all answer with the same words (CVE-2017-7200); the log has what it was. The environment's
 * proxies are not used.
 */
import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { ServiceError } from '../../base/service-error.js';
import { discard } from '../remote/backend.js';
import { asNoAnswer, flat, type HttpHead, NoAnswer, TIMEOUTS, type Timeouts } from '../remote/transport.js';
import { AddressRules } from './address-rules.js';
import { guardedConnector, systemResolvers } from './guarded-connector.js';
import type { Resolve } from './lookup-queue.js';
import { type CheckedUrl, checkUrl, isAllowedHost, type UrlRules } from './url-rules.js';

export interface FetchRules extends UrlRules {
  /** Lets RFC 1918 and fc00::/7 be fetched from. */
  readonly allowPrivateAddresses: boolean;
  /** Of one answer. */
  readonly mostBytes: number;
}

export interface FetchRequest {
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  /** Those that say who asks go to the first host alone. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** The head is all that is wanted: it does not wait for readers, who may be slow. */
  readonly isLook?: boolean;
}

/** An answer that is no redirect; the caller reads or destroys the body. */
export interface Fetched extends HttpHead {
  readonly body: Readable;
}

export interface FetchGuardOptions {
  readonly rules: FetchRules;
  /** Told of what failed, by host: paths and queries may hold what is nobody's business. */
  readonly log: { info(facts: object, message: string): void };
  readonly timeouts?: Timeouts;
  /** From the request to the end of the body. */
  readonly totalMs?: number;
  readonly resolve?: Resolve;
  readonly addresses?: Pick<AddressRules, 'refusal'>;
}

const TEXT_MAX = 2048;
const REDIRECTS_MAX = 3;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const TOTAL_MS = 24 * 3_600_000;
const CONNECTIONS_PER_HOST = 64;
/** Headers that go along to another host; not those that say who asks. */
const HARMLESS: readonly string[] = ['range', 'if-match', 'if-range', 'accept'];

export class FetchGuard {
  readonly timeouts: Timeouts;
  readonly #rules: FetchRules;
  readonly #log: FetchGuardOptions['log'];
  readonly #totalMs: number;
  // Readers may be slow; they must not take the connections that a look needs.
  readonly #reads: Agent;
  readonly #looks: Agent;

  constructor(options: FetchGuardOptions) {
    const { rules, log, timeouts = TIMEOUTS, totalMs = TOTAL_MS } = options;
    const { resolve } = options;
    // A connection that is not made in time is given up, and so is the look for its address.
    const resolvers =
      resolve === undefined ? systemResolvers(timeouts.connectMs) : { resolve, resolveAllowed: resolve };
    this.timeouts = timeouts;
    this.#rules = rules;
    this.#log = log;
    this.#totalMs = totalMs;
    const agent = {
      connect: guardedConnector({
        addresses: options.addresses ?? new AddressRules({ allowPrivate: rules.allowPrivateAddresses }),
        isAllowed: (hostname, port) => isAllowedHost(rules, hostname, port),
        ...{ ...resolvers, connectMs: timeouts.connectMs },
      }),
      ...{ connections: CONNECTIONS_PER_HOST, bodyTimeout: timeouts.idleMs, maxResponseSize: rules.mostBytes },
    };
    this.#reads = new Agent(agent);
    this.#looks = new Agent(agent);
  }

  /** Checks the text of a URL, without asking for anything, and returns it as it is asked for. INVALID_ARGUMENT. */
  check(text: string, mostCharacters = TEXT_MAX): string {
    return checkUrl(text, this.#rules, mostCharacters).href;
  }

  /**
   * Asks for what the URL names, with `accept-encoding: identity`. INVALID_ARGUMENT: `check` refuses it. LIMIT_EXCEEDED: the
   * answer says that it is too large. UNAVAILABLE: everything else, in the same words. Or the reason of the signal.
   */
  async open({ method, url, headers = {}, signal, isLook = false }: FetchRequest): Promise<Fetched> {
    const from = checkUrl(url, this.#rules, TEXT_MAX);
    signal?.throwIfAborted();
    const stop = new AbortController();
    const forward = (): void => stop.abort(signal?.reason);
    signal?.addEventListener('abort', forward, { once: true });
    const total = setTimeout(() => stop.abort(new NoAnswer('took too long')), this.#totalMs);
    const head = setTimeout(() => stop.abort(new NoAnswer('does not answer in time')), this.timeouts.answerMs);
    const end = (): void => {
      signal?.removeEventListener('abort', forward);
      clearTimeout(total);
    };
    try {
      const dispatcher = isLook ? this.#looks : this.#reads;
      const fetching = this.#follow(from, { method, headers, signal: stop.signal, dispatcher });
      const fetched = await orAborted(fetching, stop.signal);
      fetched.body.once('close', end);
      return fetched;
    } catch (error) {
      end();
      if (signal?.aborted === true) throw signal.reason;
      throw this.#failed(from, stop.signal.aborted ? stop.signal.reason : error);
    } finally {
      clearTimeout(head);
    }
  }

  async #follow(
    from: CheckedUrl,
    {
      headers,
      ...what
    }: Pick<Dispatcher.RequestOptions, 'method'> & {
      readonly headers: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
      readonly dispatcher: Dispatcher;
    },
  ): Promise<Fetched> {
    let at = from;
    let sent = headers;
    for (let hops = 0; ; hops += 1) {
      const answer = await request(at.href, {
        ...{ ...what, headersTimeout: this.timeouts.answerMs },
        headers: { ...sent, 'accept-encoding': 'identity' },
      });
      try {
        const location = REDIRECTS.includes(answer.statusCode) ? flat(answer.headers)['location'] : undefined;
        if (location === undefined) return this.#accepted(answer);
        if (hops === REDIRECTS_MAX) throw new Error(`redirected more than ${REDIRECTS_MAX} times`);
        const next = this.#redirected(at, location);
        if (new URL(next.href).origin !== new URL(at.href).origin)
          sent = Object.fromEntries(Object.entries(sent).filter(([name]) => HARMLESS.includes(name.toLowerCase())));
        at = next;
      } catch (error) {
        discard(answer);
        throw error;
      }
      discard(answer);
    }
  }

  #accepted({ statusCode: status, headers, body }: Dispatcher.ResponseData): Fetched {
    const answer = { status, headers: flat(headers), body };
    const encoding = answer.headers['content-encoding'] ?? 'identity';
    // What grows when it is decoded is not taken at all.
    if (encoding.toLowerCase() !== 'identity') throw new Error('the answer has a content-encoding');
    if (Number(answer.headers['content-length'] ?? 0) > this.#rules.mostBytes)
      throw new ServiceError('LIMIT_EXCEEDED', `url: an image may have at most ${this.#rules.mostBytes} bytes`);
    return answer;
  }

  // The text of another host is judged as that of a URL is, before a parser has made an address of it.
  #redirected(at: CheckedUrl, location: string): CheckedUrl {
    const here = new URL(at.href);
    if (!URL.canParse(location, at.href)) throw new Error('redirected to no URL');
    const there = new URL(location, at.href);
    if (here.protocol === 'https:' && there.protocol !== 'https:') throw new Error('redirected from https to http');
    const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(location);
    const text = isAbsolute ? location : location.startsWith('//') ? `${here.protocol}${location}` : undefined;
    if (text === undefined && there.origin !== here.origin) throw new Error('redirected in an odd way');
    return checkUrl(text ?? there.href, this.#rules, TEXT_MAX);
  }

  #failed(from: CheckedUrl, error: unknown): ServiceError {
    if (error instanceof ServiceError && error.reason === 'LIMIT_EXCEEDED') return error;
    const cause = asNoAnswer(error);
    const { hostname: host, port } = from;
    this.#log.info({ host, port, err: cause }, 'fetch failed');
    return new ServiceError('UNAVAILABLE', 'url: nothing can be fetched from there now', { cause });
  }
}

/** undici tells a request that waits for a connection of its signal only when it has one. */
async function orAborted(fetching: Promise<Fetched>, signal: AbortSignal): Promise<Fetched> {
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([fetching, aborted]);
  if (!signal.aborted) return fetching;
  fetching.then(discard, () => undefined);
  throw signal.reason;
}
