import { ServiceError } from '../base/service-error.js';
import type { Exchange } from './exchange.js';
import { streamChunks } from './stream-chunks.js';

export interface BodyLimits {
  /** How long the client may send nothing before it is given up, in milliseconds. */
  readonly idleMs: number;
}

/**
 * Reads the body of a request, one network chunk at a time. A client that waits for `100 Continue` is invited by the first
 * pull. CANCELLED: the client went away; DEADLINE_EXCEEDED: it sent nothing for `idleMs`.
 */
export async function* bodyChunks(exchange: Exchange, limits: BodyLimits): AsyncGenerator<Uint8Array, void, undefined> {
  const { idleMs } = limits;
  exchange.invite();
  yield* streamChunks(exchange.request, {
    idleMs,
    broken: () => new ServiceError('CANCELLED', 'the client went away before the whole body came'),
    stalled: () => new ServiceError('DEADLINE_EXCEEDED', `the client sent nothing for ${idleMs} ms`),
  });
}
