/** What S3 and Swift have in common as services: calls that are tried again, and refusals in our words. */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import type { StoreId } from '../../base/brand.js';
import type { Reason } from '../../base/error-table.js';
import { ServiceError } from '../../base/service-error.js';
import { type HttpHead, type HttpRequest, NoAnswer, type Timeouts, type Transport } from './transport.js';

/** One request to the service, before it is known where exactly it goes and who asks. */
export interface BackendCall {
  readonly method: Dispatcher.HttpMethod;
  /** Starts with a slash; bucket or container, and the key. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<HttpRequest['body']> & { readonly sha256Hex?: string };
  /** For messages: `writing`, `deleting`. */
  readonly doing: string;
  /** The statuses that the caller handles; every other one becomes an error. */
  readonly accept: readonly number[];
  readonly signal?: AbortSignal | undefined;
  readonly attempts?: number;
  readonly answerMs?: number;
}

export interface Answer extends HttpHead {
  readonly text: string;
  /** Counts from 1; later ones may meet what an earlier one did, whose answer was lost. */
  readonly attempt: number;
}

export interface OpenAnswer extends HttpHead {
  readonly body: Readable;
}

/** What the two services do differently. */
export interface Dialect {
  /** Adds the address and the proof of who we are. */
  authorize(call: BackendCall): Promise<HttpRequest>;
  /** After 401: drops what `request` was authorized with; true when asking again can help. */
  renew(request: HttpRequest): Promise<boolean>;
  /** The service's own word for an error, or ''. */
  codeOf(head: HttpHead, text: string): string;
}

const ATTEMPTS = 4;
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An error that may be gone at the next attempt. */
class Passing extends Error {
  readonly error: ServiceError;

  constructor(error: ServiceError) {
    super(error.message);
    this.error = error;
  }
}

export class Backend {
  readonly transport: Transport;
  readonly #storeId: StoreId;
  readonly #dialect: Dialect;

  constructor(storeId: StoreId, transport: Transport, dialect: Dialect) {
    this.#storeId = storeId;
    this.transport = transport;
    this.#dialect = dialect;
  }

  /**
   * Makes a call and returns an answer whose status the caller accepts. LIMIT_EXCEEDED: the service is full. UNAVAILABLE:
   * it does not answer, or refuses. UPSTREAM_FAILED: it answers something else.
   */
  async call(call: BackendCall): Promise<Answer> {
    return this.#trying(call, async (attempt) => {
      const { signal, answerMs } = call;
      const options = { ...(signal && { signal }), ...(answerMs !== undefined && { answerMs }) };
      const answer = await this.#authorized(call, (request) => this.transport.call(request, options));
      if (call.accept.includes(answer.status)) return { ...answer, attempt };
      throw this.#refused(call, answer, answer.text);
    });
  }

  /** As `call`, with the body still to come. */
  async open(call: BackendCall): Promise<OpenAnswer> {
    return this.#trying(call, async () => {
      const open = (request: HttpRequest) => this.transport.open(request, call.signal);
      const answer = await this.#authorized(call, open, discard);
      if (call.accept.includes(answer.status)) return answer;
      // What it says is of no use to callers, the status is.
      discard(answer);
      throw this.#refused(call, answer, '');
    });
  }

  /** An error of this store. */
  error(reason: Reason, problem: string, cause?: unknown): ServiceError {
    return new ServiceError(reason, `store ${this.#storeId}: ${problem}`, { cause });
  }

  async #authorized<T extends HttpHead>(
    call: BackendCall,
    send: (request: HttpRequest) => Promise<T>,
    drop?: (answer: T) => void,
  ): Promise<T> {
    const request = await this.#dialect.authorize(call);
    const answer = await send(request);
    if (answer.status !== 401 || !(await this.#dialect.renew(request))) return answer;
    drop?.(answer);
    return send(await this.#dialect.authorize(call));
  }

  async #trying<T>(call: BackendCall, run: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await run(attempt);
      } catch (error) {
        const passing = this.#passing(call, error);
        if (passing === undefined) throw error;
        if (attempt >= (call.attempts ?? ATTEMPTS)) throw passing;
        await this.pause(attempt, call.signal);
      }
    }
  }

  get timeouts(): Timeouts {
    return this.transport.timeouts;
  }

  /** Waits before the attempt after this one. */
  pause(attempt: number, signal?: AbortSignal): Promise<void> {
    return backoff(this.timeouts, attempt, signal);
  }

  #passing(call: BackendCall, error: unknown): ServiceError | undefined {
    if (error instanceof Passing) return error.error;
    if (error instanceof NoAnswer)
      return this.error('UNAVAILABLE', `${call.doing}: the service ${error.message}`, error);
    return undefined;
  }

  #refused(call: BackendCall, head: HttpHead, text: string): Error {
    const { status } = head;
    const said = this.#dialect.codeOf(head, text);
    const code = /^[A-Za-z.]{1,64}$/.test(said) ? ` ${said}` : '';
    const answered = `${call.doing}: the service answered HTTP ${status}${code}`;
    if (status === 413 || status === 507 || /quota|storagefull/i.test(said))
      return this.error('LIMIT_EXCEEDED', `no room: ${answered}`);
    if (PASSING.has(status)) return new Passing(this.error('UNAVAILABLE', answered));
    if (status === 401 || status === 403) return this.error('UNAVAILABLE', `${answered}: it refuses our credentials`);
    if (status === 404) return this.error('UNAVAILABLE', `${answered}: is its bucket or container there?`);
    if (status === 409) return this.error('UNAVAILABLE', answered);
    // The bytes were damaged on the way.
    if (status === 422 || said === 'BadDigest') return new Passing(this.error('UPSTREAM_FAILED', answered));
    return this.error('UPSTREAM_FAILED', answered);
  }
}

/** Waits before the attempt after this one, longer each time. Rejects with the signal's reason. */
export async function backoff({ backoffMs }: Timeouts, attempt: number, signal?: AbortSignal): Promise<void> {
  const ms = backoffMs * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
  await sleep(ms, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
}

/** Drops a body that nobody reads; that it did not end is no news. */
export function discard({ body }: { readonly body: Readable }): void {
  body.on('error', () => undefined).destroy();
}
