/** Reads a range of a remote object, going on from the exact byte when the connection breaks. */
import type { Reason } from '../../base/error-table.js';
import { ServiceError } from '../../base/service-error.js';
import { MIB } from '../../base/units.js';
import type { ByteRange } from '../../application/ports/image-store.js';
import type { Backend, OpenAnswer } from './backend.js';
import { asNoAnswer, NoAnswer, type Timeouts } from './transport.js';

export interface RangedRead {
  readonly backend: {
    readonly timeouts: Timeouts;
    error(reason: Reason, problem: string, cause?: unknown): ServiceError;
    /** Waits before the attempt after this one. */
    pause(attempt: number, signal?: AbortSignal): Promise<void>;
  };
  /** The object's name in messages. */
  readonly key: string;
  readonly range: ByteRange;
  readonly signal: AbortSignal | undefined;
  /** Looks the object up; undefined: there is none. */
  head(): Promise<{ readonly sizeBytes: number } | undefined>;
  /** Asks for the bytes; any of the statuses of READ_STATUSES. */
  open(headers: Readonly<Record<string, string>>): Promise<OpenAnswer>;
}

/** A read of an object of a service that is asked with the store's rights. */
export interface ObjectRead extends Omit<RangedRead, 'backend' | 'open'> {
  readonly backend: Backend;
  /** Bucket or container, and the key. */
  readonly path: string;
  /** What else is asked when the service says that there is no such object. */
  readonly missing?: () => Promise<void>;
}

export const READ_STATUSES = [200, 206, 404, 412, 416];

/** So many connections may break one after the other, each before it gave this much. */
const BREAKS = 4;
const PROGRESS_BYTES = MIB;

/** Yields the range in chunks of at most 1 MiB; reasons as ImageStore.read. */
export async function* readRange(read: RangedRead): AsyncGenerator<Uint8Array> {
  const { backend, key, range, signal } = read;
  signal?.throwIfAborted();
  checkWhole(range, key);
  if (range.lengthBytes > 0) {
    yield* readBytes(read);
    return;
  }
  const found = await read.head();
  if (found === undefined) throw backend.error('NOT_FOUND', `no object ${key}`);
  if (range.offsetBytes > found.sizeBytes) throw outside(key, `an offset ${range.offsetBytes}`);
}

async function* readBytes(read: RangedRead): AsyncGenerator<Uint8Array> {
  const { backend, key, range, signal } = read;
  const endBytes = range.offsetBytes + range.lengthBytes;
  let atBytes = range.offsetBytes;
  let progressAt = atBytes;
  let breaks = 0;
  let etag: string | undefined;
  for (;;) {
    const headers = { range: `bytes=${atBytes}-${endBytes - 1}`, ...(etag === undefined ? {} : { 'if-match': etag }) };
    const answer = await read.open(headers);
    const stop = (): void => void answer.body.destroy();
    // A body that is destroyed before it ended says so to nobody who listens any more.
    answer.body.on('error', () => undefined);
    signal?.addEventListener('abort', stop, { once: true });
    let failure: NoAnswer | undefined;
    try {
      signal?.throwIfAborted();
      checkAnswer(read, answer, { atBytes, endBytes, resumed: etag !== undefined });
      etag ??= answer.headers['etag'];
      for await (const chunk of paced(answer.body, backend.timeouts)) {
        if (atBytes + chunk.length > endBytes)
          throw backend.error('UPSTREAM_FAILED', `reading ${key}: the service sent more than was asked for`);
        for (let offset = 0; offset < chunk.length; offset += MIB) {
          const piece = chunk.subarray(offset, offset + MIB);
          atBytes += piece.length;
          yield piece;
          signal?.throwIfAborted();
        }
      }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      const known = error instanceof ServiceError ? error : asNoAnswer(error);
      if (!(known instanceof NoAnswer)) throw known;
      failure = known;
    } finally {
      signal?.removeEventListener('abort', stop);
      answer.body.destroy();
    }
    signal?.throwIfAborted();
    if (atBytes === endBytes) return;
    breaks = atBytes - progressAt >= PROGRESS_BYTES ? 1 : breaks + 1;
    progressAt = atBytes;
    const missing = `${endBytes - atBytes} of ${range.lengthBytes} bytes are missing`;
    if (breaks >= BREAKS) {
      const reason = failure === undefined ? 'UPSTREAM_FAILED' : 'UNAVAILABLE';
      const problem = `reading ${key}: the service ${failure?.message ?? 'ended early'}; ${missing}`;
      throw backend.error(reason, problem, failure);
    }
    await backend.pause(breaks, signal);
  }
}

/** Yields a range of an object of a service; as `readRange`. */
export function readObject(read: ObjectRead): AsyncGenerator<Uint8Array> {
  return readRange({ ...read, open: (headers) => open(read, headers) });
}

async function open(read: ObjectRead, headers: Readonly<Record<string, string>>): Promise<OpenAnswer> {
  const { backend, path, signal } = read;
  const call = { method: 'GET', path, headers, doing: 'reading', accept: READ_STATUSES, signal } as const;
  const answer = await backend.open(call);
  if (answer.status === 404) await read.missing?.();
  return answer;
}

/** RANGE_INVALID unless both are whole numbers that a range can have. */
function checkWhole({ offsetBytes, lengthBytes }: ByteRange, key: string): void {
  const whole = Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(lengthBytes);
  if (whole && offsetBytes >= 0 && lengthBytes >= 0 && Number.isSafeInteger(offsetBytes + lengthBytes)) return;
  throw outside(key, `${lengthBytes} bytes at offset ${offsetBytes}`);
}

/** The error for a range that is not in the object. */
function outside(key: string, asked: string): ServiceError {
  return new ServiceError('RANGE_INVALID', `object ${key} does not have ${asked}`);
}

function checkAnswer(
  { backend, key }: RangedRead,
  { status, headers }: OpenAnswer,
  { atBytes, endBytes, resumed }: { readonly atBytes: number; readonly endBytes: number; readonly resumed: boolean },
): void {
  const asked = `${endBytes - atBytes} bytes at offset ${atBytes}`;
  const changed = (how: string): ServiceError =>
    backend.error('DATA_CORRUPT', `object ${key} ${how} while it was read`);
  if (status === 404) throw backend.error('NOT_FOUND', `no object ${key}`);
  if (status === 412) throw changed('was replaced');
  if (status === 416) throw resumed ? changed('became shorter') : outside(key, asked);
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (status === 200) {
    if (atBytes === 0 && length === endBytes) return;
    if (atBytes === 0 && length < endBytes) throw resumed ? changed('became shorter') : outside(key, asked);
    throw backend.error('UPSTREAM_FAILED', `reading ${key}: the service does not give the range that was asked for`);
  }
  const [, first, last] = /^bytes (\d+)-(\d+)\/(?:\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  if (Number(first) !== atBytes || (!Number.isNaN(length) && length !== Number(last) - atBytes + 1))
    throw backend.error('UPSTREAM_FAILED', `reading ${key}: the service gives another range than was asked for`);
  if (Number(last) < endBytes - 1) throw resumed ? changed('became shorter') : outside(key, asked);
}

// Only the time spent waiting for the service counts: a slow reader is not its fault.
async function* paced(body: AsyncIterable<Uint8Array>, timeouts: Timeouts): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  const leastBytes = (timeouts.leastBytesPerSecond * timeouts.idleMs) / 1000;
  let waitedMs = 0;
  let cameBytes = 0;
  for (;;) {
    const askedAt = performance.now();
    const next = await iterator.next();
    waitedMs += performance.now() - askedAt;
    if (next.done === true) return;
    const chunk = next.value;
    cameBytes += chunk.length;
    yield chunk;
    if (waitedMs < timeouts.idleMs) continue;
    if (cameBytes < leastBytes) throw new NoAnswer(`sent only ${cameBytes} bytes in ${Math.round(waitedMs)} ms`);
    waitedMs = 0;
    cameBytes = 0;
  }
}
