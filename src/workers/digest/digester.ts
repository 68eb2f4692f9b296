import { createHash, getHashes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { DigestSession, Digester } from '../../application/ports/digester.js';
import { ServiceError } from '../../base/service-error.js';
import { HashLane } from './hash-lane.js';
import { HashSession } from './hash-session.js';

export interface DigesterOptions {
  /** Pairs of threads. A session stays on one pair; default: half the cores, 1 to 4. */
  readonly laneCount?: number;
}

/**
 * Returns a digester whose threads start with the first session and then live on. A thread that ends by itself fails the
 * sessions on it with INTERNAL and is replaced at the next `open`.
 *
 * Reasons of `open`: INVALID_ARGUMENT (algorithm not known to node:crypto), UNAVAILABLE (after `close`).
 */
export function createDigester(options: DigesterOptions = {}): Digester {
  const laneCount = options.laneCount ?? Math.min(4, Math.max(1, Math.floor(availableParallelism() / 2)));
  const lanes = new Set<HashLane>();
  let closed = false;

  return {
    open(osHashAlgo: string): DigestSession {
      if (closed) throw new ServiceError('UNAVAILABLE', 'the digester is closed');
      checkAlgorithm(osHashAlgo);
      return new HashSession(pickLane(lanes, laneCount), osHashAlgo);
    },
    async close(): Promise<void> {
      closed = true;
      const error = new ServiceError('UNAVAILABLE', 'the digester was closed while a stream was being hashed');
      await Promise.all([...lanes].map((lane) => lane.stop(error)));
    },
  };
}

/** The lane with the fewest sessions; a new one while there may be more and none is idle. */
function pickLane(lanes: Set<HashLane>, laneCount: number): HashLane {
  const [least] = [...lanes].sort((a, b) => a.sessionCount - b.sessionCount);
  if (least !== undefined && (least.sessionCount === 0 || lanes.size >= laneCount)) return least;
  const lane: HashLane = new HashLane(() => lanes.delete(lane));
  lanes.add(lane);
  return lane;
}

function checkAlgorithm(name: string): void {
  // getHashes() also lists digests that the linked OpenSSL refuses to make (md4 and others of its legacy provider).
  if (!getHashes().includes(name) || !canHash(name)) {
    throw new ServiceError('INVALID_ARGUMENT', `hash algorithm: expected one of node:crypto, found ${name}`);
  }
}

function canHash(name: string): boolean {
  try {
    createHash(name);
    return true;
  } catch {
    return false;
  }
}
