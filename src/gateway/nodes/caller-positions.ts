import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Metadata } from 'nice-grpc-common';

/** Callers who are remembered; some 200 bytes each. */
const CALLERS_MAX = 10_000;
/** A node that lags more than this is not asked to wait for what a caller wrote before. */
const KEPT_MS = 3_600_000;
const MIN_POSITION_KEY = 'oriel-min-position';
const POSITION_KEY = 'oriel-position';
/** What a caller is known by here: who that is, only the nodes can tell. */
const CREDENTIALS = ['x-auth-token', 'x-user-id', 'x-project-id', 'x-tenant-id', 'x-roles'] as const;

interface Positions {
  /** Of the last write. */
  readonly written: string | undefined;
  /** The newest that an answer was of. */
  readonly seen: string;
}

/**
 * The positions of each caller's last write and of the newest answer that it got. Its reads carry one of them, so that they do
 * not go back in time when they go to another node. Callers are told apart by their credentials, of which only a digest is kept.
 */
export class CallerPositions {
  readonly #positions = new LRUCache<string, Positions>({ max: CALLERS_MAX, ttl: KEPT_MS });

  /** Notes where the answer says that it is: to a change, that this is to be seen from now on; to a read, that it was seen. */
  note(caller: Metadata, answer: Metadata, to: 'change' | 'read'): void {
    const position = answer.get(POSITION_KEY);
    if (position === undefined) return;
    const key = keyOf(caller);
    const before = this.#positions.get(key);
    const seen = newer(position, before?.seen);
    const written = to === 'change' ? newer(position, before?.written) : before?.written;
    if (seen !== before?.seen || written !== before.written) this.#positions.set(key, { written, seen });
  }

  /** The metadata of a read by the caller: with the position that it has written or seen, unless it asks for a newer one. */
  carriedBy(caller: Metadata, which: keyof Positions): Metadata {
    const position = this.#positions.size === 0 ? undefined : this.#positions.get(keyOf(caller))?.[which];
    if (position === undefined) return caller;
    const asked = caller.get(MIN_POSITION_KEY);
    if (asked !== undefined && !isNewer(position, asked)) return caller;
    return Metadata(caller).set(MIN_POSITION_KEY, position);
  }
}

/** The position that a call asks for. */
export function positionIn(metadata: Metadata): string | undefined {
  return metadata.get(MIN_POSITION_KEY);
}

function newer(position: string, than: string | undefined): string {
  return than === undefined || isNewer(position, than) ? position : than;
}

function keyOf(caller: Metadata): string {
  const hash = createHash('sha256');
  for (const name of CREDENTIALS) hash.update(`${caller.get(name) ?? ''}\n`);
  return hash.digest('base64');
}

/** A later epoch is newer whatever its frames. What is no position is for the node to refuse, and no other is newer. */
function isNewer(position: string, than: string): boolean {
  const [epoch = Number.NaN, frame = Number.NaN] = position.split('.').map(Number);
  const [otherEpoch = Number.NaN, otherFrame = Number.NaN] = than.split('.').map(Number);
  return epoch > otherEpoch || (epoch === otherEpoch && frame > otherFrame);
}
