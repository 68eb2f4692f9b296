import { ServiceError } from '../base/service-error.js';
import type { Exchange } from './exchange.js';

export interface BodyLimits {
  /** How long the client may send nothing before it is given up, in milliseconds. */
  readonly idleMs: number;
}

/**
 * Reads the body of a request, one network chunk at a time, asking for the next one only when it is wanted. A client that
 * waits for `100 Continue` is invited by the first pull. Leaving early leaves the connection open, so that an answer can
 * be sent. CANCELLED: the client went away; DEADLINE_EXCEEDED: it sent nothing for `idleMs`.
 */
export async function* bodyChunks(exchange: Exchange, limits: BodyLimits): AsyncGenerator<Uint8Array, void, undefined> {
  const { request } = exchange;
  exchange.invite();
  for (;;) {
    const chunk: unknown = request.read();
    if (chunk instanceof Uint8Array) {
      yield chunk;
      continue;
    }
    if (request.readableEnded) return;
    if (request.destroyed || request.errored !== null) {
      throw new ServiceError('CANCELLED', 'the client went away before the whole body came');
    }
    await nextEvent(exchange, limits.idleMs);
  }
}

function nextEvent(exchange: Exchange, idleMs: number): Promise<void> {
  const { request } = exchange;
  return new Promise((resolve, reject) => {
    const forget = (): void => {
      clearTimeout(timer);
      request.off('readable', settle).off('end', settle).off('close', settle).off('error', settle);
    };
    const settle = (): void => {
      forget();
      resolve();
    };
    const timer = setTimeout(() => {
      forget();
      reject(new ServiceError('DEADLINE_EXCEEDED', `the client sent nothing for ${idleMs} ms`));
    }, idleMs);
    request.on('readable', settle).on('end', settle).on('close', settle).on('error', settle);
  });
}
