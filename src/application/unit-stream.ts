import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { type IdleLimit, withIdleLimit } from './idle-limit.js';

interface UnitsOptions {
  readonly lengthBytes: number;
  readonly limit: IdleLimit;
  /** What the source must give on average while it is waited for, after the first five minutes; 0: anything. */
  readonly leastBytesPerS?: number;
}

const SLOW_START_MS = 300_000;

/**
 * Cuts the source into units of 1 MiB, the last of which may be shorter; `lengthBytes` come in all, or it is UPSTREAM_FAILED. The
 * source may say nothing for as long as the limit says, and be as slow as the options say: UNAVAILABLE, and the source is left. A unit's memory may be overwritten once the
 * next one is asked for; chunks that are units already are not copied.
 */
export async function* unitsOf(
  source: AsyncIterable<Uint8Array>,
  { lengthBytes, limit, leastBytesPerS = 0 }: UnitsOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = source[Symbol.asyncIterator]();
  const buffer = { bytes: new Uint8Array(0), filled: 0 };
  let cameBytes = 0;
  // True while a chunk is waited for: a source that says nothing may not even end when it is told to.
  let waiting = false;
  let waitedMs = 0;
  try {
    for (;;) {
      waiting = true;
      const sinceMs = limit.timer.elapsedMs();
      const next = await withIdleLimit(chunks.next(), limit);
      waiting = false;
      waitedMs += limit.timer.elapsedMs() - sinceMs;
      if (((waitedMs - SLOW_START_MS) / 1000) * leastBytesPerS > cameBytes)
        throw new ServiceError('UNAVAILABLE', `the source gives less than ${leastBytesPerS} bytes a second`);
      if (next.done === true) break;
      const yieldedBefore = cameBytes - buffer.filled;
      cameBytes += next.value.length;
      if (cameBytes > lengthBytes) throw shortOrLong(lengthBytes, cameBytes);
      yield* cut(next.value, buffer, lengthBytes - yieldedBefore);
    }
    if (cameBytes !== lengthBytes) throw shortOrLong(lengthBytes, cameBytes);
  } finally {
    const ended = chunks.return?.();
    // Whoever opened the source ends it by its signal then.
    if (waiting) ended?.catch(() => undefined);
    else await ended;
  }
}

interface UnitBuffer {
  bytes: Uint8Array;
  filled: number;
}

/** The whole units that the chunk completes; `restBytes` are to come from the start of the buffer on. */
function* cut(chunk: Uint8Array, buffer: UnitBuffer, restBytes: number): Generator<Uint8Array, void, undefined> {
  let chunkAt = 0;
  let rest = restBytes;
  while (chunkAt < chunk.length) {
    const unitBytes = Math.min(UNIT_BYTES, rest);
    if (buffer.filled === 0 && chunk.length - chunkAt >= unitBytes) {
      yield chunk.subarray(chunkAt, chunkAt + unitBytes);
      chunkAt += unitBytes;
      rest -= unitBytes;
      continue;
    }
    if (buffer.bytes.length === 0) buffer.bytes = new Uint8Array(Math.min(UNIT_BYTES, restBytes));
    const taken = Math.min(unitBytes - buffer.filled, chunk.length - chunkAt);
    buffer.bytes.set(chunk.subarray(chunkAt, chunkAt + taken), buffer.filled);
    buffer.filled += taken;
    chunkAt += taken;
    if (buffer.filled < unitBytes) continue;
    buffer.filled = 0;
    rest -= unitBytes;
    yield buffer.bytes.subarray(0, unitBytes);
  }
}

function shortOrLong(expectedBytes: number, cameBytes: number): ServiceError {
  return new ServiceError('UPSTREAM_FAILED', `a store was asked for ${expectedBytes} bytes and gave ${cameBytes}`);
}
