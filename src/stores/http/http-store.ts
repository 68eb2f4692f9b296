/** Objects at URLs that anybody can read: a mirror, an object of a public bucket. Nothing is stored there. */
import { Readable } from 'node:stream';
import type { ByteRange, ImageStore } from '../../application/ports/image-store.js';
import type { ObjectKey, StoreId } from '../../base/brand.js';
import type { Reason } from '../../base/error-table.js';
import { failedWith, ServiceError } from '../../base/service-error.js';
import type { Fetched, FetchGuard, FetchRequest } from '../guard/fetch-guard.js';
import { backoff, discard } from '../remote/backend.js';
import { READ_STATUSES, readRange } from '../remote/ranged-read.js';
import { keyOfUrl, urlOfKey } from './http-key.js';

const ATTEMPTS = 3;
const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];
const GONE: readonly number[] = [404, 410];
/** Messages do not repeat keys, which are URLs. */
const NAME = 'at a URL';
const URL_MAX = 255;
/** What is read for nothing of a server that knows no ranges. */
const DROPPED_MAX = 64 * 1024 * 1024;
/** Parameters that let whoever knows the URL in: places name no secrets, and such URLs expire. */
const SECRETS =
  /^(x-(amz|goog)-(signature|credential|security-token)|awsaccesskeyid|googleaccessid|signature|sig|temp_url_sig|key-pair-id|policy|token|access_token|private_token|auth|authorization|jwt|api_?key|password|passwd|secret)$/i;

/** A store of what lies at URLs, all of them fetched through the guard. */
export class HttpStore implements ImageStore {
  readonly id: StoreId;
  readonly type = 'http';
  readonly #guard: FetchGuard;

  constructor(id: StoreId, guard: FetchGuard) {
    this.id = id;
    this.#guard = guard;
  }

  /** The key of the object at a URL. INVALID_ARGUMENT: not a URL that the service fetches. Asks for nothing. */
  locate(text: string): ObjectKey {
    const href = this.#guard.check(text, URL_MAX);
    if ([...new URL(href).searchParams.keys()].some((name) => SECRETS.test(name)))
      throw new ServiceError('INVALID_ARGUMENT', 'url: expected no signature, key or token in the query');
    const key = keyOfUrl(href);
    if (key === undefined) throw new ServiceError('INVALID_ARGUMENT', 'url: too long, with so many special characters');
    return key;
  }

  put(): Promise<never> {
    return Promise.reject(this.#error('NOT_IMPLEMENTED', 'it is read-only, nothing can be stored in it'));
  }

  delete(): Promise<never> {
    return Promise.reject(this.#error('NOT_IMPLEMENTED', 'it is read-only, nothing can be removed from it'));
  }

  async *read(
    key: ObjectKey,
    range: ByteRange,
    { signal }: { readonly signal?: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    signal?.throwIfAborted();
    const url = urlOfKey(key);
    if (url === undefined) throw this.#error('NOT_FOUND', `no object ${NAME}`);
    const endBytes = range.offsetBytes + range.lengthBytes;
    let first: string | undefined;
    const open = async ({ range: asked = '' }: Readonly<Record<string, string>>): Promise<Fetched> => {
      // A condition is not sent along: a weak ETag, as many servers have, never meets one. Versions are compared here.
      const answer = await this.#ask({ method: 'GET', url, headers: { range: asked }, signal }, true);
      if (GONE.includes(answer.status)) return { ...answer, status: 404 };
      if (!READ_STATUSES.includes(answer.status)) {
        discard(answer);
        throw this.#refused(answer);
      }
      const version = versionOf(answer);
      if (version === undefined || version === (first ??= version))
        return rangeOf(answer, { startBytes: Number(/^bytes=(\d+)-/.exec(asked)?.[1] ?? 0), endBytes });
      discard(answer);
      throw this.#error('DATA_CORRUPT', `the object ${NAME} was replaced while it was read`);
    };
    const { timeouts } = this.#guard;
    const pause = (attempt: number): Promise<void> => backoff(timeouts, attempt, signal);
    const backend = { timeouts, pause, error: this.#error.bind(this) };
    const head = (): ReturnType<HttpStore['stat']> => this.stat(key);
    yield* readRange({ backend, key: NAME, range, signal, head, open });
  }

  /** Asks for the head; where a server has none, or one without a size or of nothing, for the first byte. */
  async stat(key: ObjectKey): Promise<{ readonly sizeBytes: number } | undefined> {
    const url = urlOfKey(key);
    if (url === undefined) return undefined;
    const head = await this.#ask({ method: 'HEAD', url, isLook: true }, false);
    discard(head);
    if (GONE.includes(head.status)) return undefined;
    const sizeBytes = head.status === 200 ? lengthOf(head) : undefined;
    // Some servers say of every head that it has no bytes.
    if (sizeBytes !== undefined && sizeBytes > 0) return { sizeBytes };
    const answer = await this.#ask({ method: 'GET', url, headers: { range: 'bytes=0-0' }, isLook: true }, false);
    discard(answer);
    if (GONE.includes(answer.status)) return undefined;
    const total = totalOf(answer);
    if (total !== undefined) return { sizeBytes: total };
    if (sizeBytes === 0 && answer.status === 416) return { sizeBytes };
    if (![200, 206, 416].includes(answer.status)) throw this.#refused(answer);
    throw this.#error('UPSTREAM_FAILED', `the server does not tell the size of the object ${NAME}`);
  }

  /** Nothing fits. */
  capacity(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** There is no one server to ask. */
  check(): Promise<void> {
    return Promise.resolve();
  }

  sourceOf(key: ObjectKey): string | undefined {
    const url = urlOfKey(key);
    return url === undefined ? undefined : new URL(url).host;
  }

  url(key: ObjectKey): string {
    return urlOfKey(key) ?? `http:${key}`;
  }

  /** Asks again where another answer may come; of a silent server only when told, as that takes long. */
  async #ask(request: FetchRequest, retrySilent: boolean): Promise<Fetched> {
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt === ATTEMPTS;
      const answer = await this.#guard.open(request).catch((error: unknown) => {
        if (retrySilent && !isLast && failedWith(error, 'UNAVAILABLE')) return undefined;
        throw error;
      });
      if (answer !== undefined && (isLast || !PASSING.includes(answer.status))) return answer;
      if (answer !== undefined) discard(answer);
      await backoff(this.#guard.timeouts, attempt, request.signal);
    }
  }

  #refused({ status }: Fetched): ServiceError {
    const reason = PASSING.includes(status) ? 'UNAVAILABLE' : 'UPSTREAM_FAILED';
    return this.#error(reason, `the server does not give the object ${NAME}`, new Error(`HTTP ${status}`));
  }

  #error(reason: Reason, problem: string, cause?: unknown): ServiceError {
    return new ServiceError(reason, `store ${this.id}: ${problem}`, { cause });
  }
}

/** A text that is another one when the bytes may be others; undefined for an answer that has none of them. */
function versionOf(answer: Fetched): string | undefined {
  if (answer.status !== 200 && answer.status !== 206) return undefined;
  const { etag, 'last-modified': modified } = answer.headers;
  return JSON.stringify([etag, modified, totalOf(answer)]);
}

/** The size of the whole object. */
function totalOf(answer: Fetched): number | undefined {
  if (answer.status === 200) return lengthOf(answer);
  const total = /^bytes (?:\d+-\d+|\*)\/(\d{1,16})$/.exec(answer.headers['content-range'] ?? '')?.[1];
  return total === undefined || (answer.status !== 206 && answer.status !== 416) ? undefined : whole(total);
}

function lengthOf({ headers }: Fetched): number | undefined {
  return whole(headers['content-length'] ?? '');
}

function whole(digits: string): number | undefined {
  const value = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/**
 * Of a server that gives the whole object for every range: the range as others give it. What comes before is read and dropped, which
 * is done for small objects alone; for others it is left to the reader to refuse the answer.
 */
function rangeOf(answer: Fetched, { startBytes, endBytes }: AskedRange): Fetched {
  const sizeBytes = answer.status === 200 ? lengthOf(answer) : undefined;
  if (sizeBytes === undefined || (startBytes === 0 && sizeBytes <= endBytes) || startBytes > DROPPED_MAX) return answer;
  if (sizeBytes <= startBytes) return { ...answer, status: 416 };
  const lastBytes = Math.min(endBytes, sizeBytes);
  const body = Readable.from(part(answer.body, { startBytes, endBytes: lastBytes }), { objectMode: false });
  // Whoever destroys it waits for no byte.
  body.once('close', () => discard(answer));
  const headers = {
    ...answer.headers,
    'content-length': String(lastBytes - startBytes),
    'content-range': `bytes ${startBytes}-${lastBytes - 1}/${sizeBytes}`,
  };
  return { ...answer, status: 206, headers, body };
}

interface AskedRange {
  readonly startBytes: number;
  readonly endBytes: number;
}

async function* part(
  body: AsyncIterable<Uint8Array>,
  { startBytes, endBytes }: AskedRange,
): AsyncGenerator<Uint8Array> {
  let atBytes = 0;
  for await (const chunk of body) {
    const wanted = chunk.subarray(Math.max(0, startBytes - atBytes), Math.max(0, endBytes - atBytes));
    atBytes += chunk.length;
    if (wanted.length > 0) yield wanted;
    if (atBytes >= endBytes) return;
  }
}
