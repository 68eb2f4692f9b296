import type { Readable } from 'node:stream';

export interface StreamPull {
  /** How long the other end may send nothing, in milliseconds. */
  readonly idleMs: number;
  /** What to fail with when the stream breaks. */
  readonly broken: () => Error;
  /** What to fail with when nothing comes for `idleMs`. */
  readonly stalled: () => Error;
}

/**
 * Reads a stream one chunk at a time, asking for the next one only when it is wanted. Unlike the stream's own iterator it
 * leaves the stream open when the consumer leaves early, so that an answer can still be sent on its connection.
 */
export async function* streamChunks(stream: Readable, pull: StreamPull): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const chunk: unknown = stream.read();
    if (chunk instanceof Uint8Array) {
      yield chunk;
      continue;
    }
    if (stream.readableEnded) return;
    if (stream.destroyed || stream.errored !== null) throw pull.broken();
    await nextEvent(stream, pull);
  }
}

function nextEvent(stream: Readable, pull: StreamPull): Promise<void> {
  return new Promise((resolve, reject) => {
    const forget = (): void => {
      clearTimeout(timer);
      stream.off('readable', settle).off('end', settle).off('close', settle).off('error', settle);
    };
    const settle = (): void => {
      forget();
      resolve();
    };
    const timer = setTimeout(() => {
      forget();
      reject(pull.stalled());
    }, pull.idleMs);
    stream.on('readable', settle).on('end', settle).on('close', settle).on('error', settle);
  });
}
