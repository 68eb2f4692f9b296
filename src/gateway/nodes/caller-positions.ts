import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Metadata } from 'nice-grpc-common';

/** Callers whose last write is remembered; some 200 bytes each. */
const CALLERS_MAX = 10_000;
/** A node that lags more than this is not asked to wait for what a caller wrote before. */
const KEPT_MS = 3_600_000;
const MIN_POSITION_KEY = 'oriel-min-position';
const POSITION_KEY = 'oriel-position';
/** What a caller is known by here: who that is, only the nodes can tell. */
const CREDENTIALS = ['x-auth-token', 'x-user-id', 'x-project-id', 'x-tenant-id', 'x-roles'] as const;

/**
 * The position of each caller's last write. Its reads carry it, so that they do not go back in time when they go to another
 * node than the write did. Callers are told apart by their credentials, of which only a digest is kept.
 */
export class CallerPositions {
  readonly #positions = new LRUCache<string, string>({ max: CALLERS_MAX, ttl: KEPT_MS });

  /** Notes where the answer to a write says that it is. */
  note(caller: Metadata, answer: Metadata): void {
    const position = answer.get(POSITION_KEY);
    if (position === undefined) return;
    const key = keyOf(caller);
    if (isNewer(position, this.#positions.get(key))) this.#positions.set(key, position);
  }

  /** The metadata of a read by the caller: with its last write's position, unless it asks for a newer one. */
  carriedBy(caller: Metadata): Metadata {
    const position = this.#positions.size === 0 ? undefined : this.#positions.get(keyOf(caller));
    if (position === undefined) return caller;
    const asked = caller.get(MIN_POSITION_KEY);
    if (asked !== undefined && !isNewer(position, asked)) return caller;
    return Metadata(caller).set(MIN_POSITION_KEY, position);
  }
}

function keyOf(caller: Metadata): string {
  const hash = createHash('sha256');
  for (const name of CREDENTIALS) hash.update(`${caller.get(name) ?? ''}\n`);
  return hash.digest('base64');
}

/** A later epoch is newer whatever its frames. What is no position is for the node to refuse, and no other is newer. */
function isNewer(position: string, than: string | undefined): boolean {
  if (than === undefined) return true;
  const [epoch = Number.NaN, frame = Number.NaN] = position.split('.').map(Number);
  const [otherEpoch = Number.NaN, otherFrame = Number.NaN] = than.split('.').map(Number);
  return epoch > otherEpoch || (epoch === otherEpoch && frame > otherFrame);
}
