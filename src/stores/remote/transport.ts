/** HTTP to the service behind a store: bounded connections, and a time-out at every stage. */
import { Readable } from 'node:stream';
import { Agent, type Dispatcher, errors, request } from 'undici';
import { MIB } from '../../base/units.js';

export interface Timeouts {
  readonly connectMs: number;
  /** From the last byte of the request that went to the head of the answer. */
  readonly answerMs: number;
  /** How long a body may stand still. */
  readonly idleMs: number;
  /** The least pace of a body, so that one that trickles ends, too. */
  readonly leastBytesPerSecond: number;
  /** Before the second attempt; doubled before each further one. */
  readonly backoffMs: number;
}

export const TIMEOUTS: Timeouts = {
  connectMs: 10_000,
  answerMs: 60_000,
  idleMs: 30_000,
  leastBytesPerSecond: 4096,
  backoffMs: 250,
};

/** Answers that are read into memory: errors, and lists of at most a thousand entries. */
const MOST_TEXT_BYTES = 4 * MIB;
const LEAST_UPLOAD_BYTES_PER_SECOND = 64 * 1024;
const CALL_CONNECTIONS = 64;
const READ_CONNECTIONS = 256;
/**
 * So much of a body comes in while its reader does something else: with undici's 64 KiB the service waits for each unit to be
 * checked and sent on, and that reader for the service.
 */
const READ_AHEAD_BYTES = 2 * MIB;

export interface HttpRequest {
  readonly method: Dispatcher.HttpMethod;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent as one body with its length. */
  readonly body?: { readonly slabs: readonly Uint8Array[]; readonly sizeBytes: number };
}

export interface HttpHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The service did not answer, or not in time; `message` says so in words that may be shown. */
export class NoAnswer extends Error {}

export class Transport {
  readonly timeouts: Timeouts;
  readonly #calls: Agent;
  // Readers may be slow; they must not take the connections that everything else needs.
  readonly #reads: Agent;

  constructor(timeouts: Timeouts) {
    this.timeouts = timeouts;
    const options = { connect: { timeout: timeouts.connectMs }, bodyTimeout: timeouts.idleMs };
    this.#calls = new Agent({ ...options, connections: CALL_CONNECTIONS });
    this.#reads = new Agent({ ...options, connections: READ_CONNECTIONS });
  }

  /** Sends a request and reads the whole answer as text. Rejects with NoAnswer, or with the signal's reason. */
  async call(
    what: HttpRequest,
    options: { readonly signal?: AbortSignal; readonly answerMs?: number } = {},
  ): Promise<HttpHead & { readonly text: string }> {
    const sendingMs = ((what.body?.sizeBytes ?? 0) / LEAST_UPLOAD_BYTES_PER_SECOND) * 1000;
    const answerMs = options.answerMs ?? this.timeouts.answerMs;
    // undici counts from the last byte that went, so that a body that trickles needs a bound of its own.
    return withDeadline(answerMs + Math.ceil(sendingMs), options.signal, async (signal) => {
      const { statusCode, headers, body } = await this.#send(this.#calls, what, answerMs, signal);
      const parts: Uint8Array[] = [];
      let sizeBytes = 0;
      const chunks: AsyncIterable<Uint8Array> = body;
      for await (const bytes of chunks) {
        sizeBytes += bytes.length;
        if (sizeBytes > MOST_TEXT_BYTES) throw new NoAnswer('sent an answer that has no end');
        parts.push(bytes);
      }
      return { status: statusCode, headers: flat(headers), text: Buffer.concat(parts).toString('utf8') };
    });
  }

  /** Sends a request and returns the head of its answer and the body, which the caller reads or destroys. */
  async open(what: HttpRequest, caller?: AbortSignal): Promise<HttpHead & { readonly body: Readable }> {
    const limitMs = this.timeouts.answerMs;
    return withDeadline(limitMs, caller, async (signal) => {
      const { statusCode, headers, body } = await this.#send(this.#reads, what, limitMs, signal);
      return { status: statusCode, headers: flat(headers), body };
    });
  }

  #send(agent: Agent, what: HttpRequest, answerMs: number, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, url, body } = what;
    const options = { dispatcher: agent, method, signal, headersTimeout: answerMs, highWaterMark: READ_AHEAD_BYTES };
    if (body === undefined) return request(url, { ...options, headers: what.headers });
    const headers = { ...what.headers, 'content-length': String(body.sizeBytes) };
    const [first] = body.slabs;
    if (body.slabs.length <= 1) return request(url, { ...options, headers, body: first ?? new Uint8Array(0) });
    return request(url, { ...options, headers, body: Readable.from(body.slabs) });
  }
}

/** Words for what undici and the system say. */
function wordsOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return undefined;
  if (error instanceof errors.ConnectTimeoutError) return 'does not answer (no connection in time)';
  if (error instanceof errors.HeadersTimeoutError) return 'does not answer in time';
  if (error instanceof errors.BodyTimeoutError) return 'stopped in the middle of an answer';
  if (error instanceof errors.UndiciError) return 'broke the connection';
  if (code === 'ECONNREFUSED') return 'does not answer (connection refused)';
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'broke the connection';
  // Names that do not resolve, no route, certificates that are not trusted.
  return code === '' ? undefined : `cannot be reached (${code})`;
}

/** NoAnswer for what is the service's or the network's failure; anything else, a bug, as it is. */
export function asNoAnswer(error: unknown): unknown {
  if (error instanceof NoAnswer) return error;
  const words = wordsOf(error);
  return words === undefined ? error : new NoAnswer(words, { cause: error });
}

async function withDeadline<T>(
  limitMs: number,
  caller: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  caller?.throwIfAborted();
  const stop = new AbortController();
  const forward = (): void => stop.abort(caller?.reason);
  caller?.addEventListener('abort', forward, { once: true });
  const late = new NoAnswer('does not answer in time');
  const timer = setTimeout(() => stop.abort(late), limitMs);
  try {
    return await run(stop.signal);
  } catch (error) {
    if (caller?.aborted === true) throw caller.reason;
    throw stop.signal.aborted ? late : asNoAnswer(error);
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener('abort', forward);
  }
}

/** The headers by name; of one that came several times, the first. */
export function flat(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const flattened: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) flattened[name] = first;
  }
  return flattened;
}
