import { ServiceError } from '../base/service-error.js';

/** A place in the feed of changes: the change that was read last, and the epoch of the catalog it was read from. */
export interface FeedPoint {
  readonly epoch: number;
  /** Number of the change; 0 is before the first. */
  readonly seq: number;
}

/** Which changes a catalog has. */
export interface FeedState {
  readonly epoch: number;
  /** The oldest change that is kept; `lastSeq + 1` when there is none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Writes a point as callers see it; they must not look into it. */
export function feedToken({ epoch, seq }: FeedPoint): string {
  return `${epoch}-${seq}`;
}

/** Reads what `feedToken` wrote. INVALID_ARGUMENT: it is none. */
export function parseFeedToken(text: string): FeedPoint {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(text);
  if (match === null)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `expected a token that a message of the feed carried, got ${JSON.stringify(text.slice(0, 40))}`,
    );
  return { epoch: Number(match[1]), seq: Number(match[2]) };
}

/**
 * Tells whether a catalog has all that follows the point. `gone`: changes after it were forgotten, or it is of a history that a
 * restore or promotion ended. `ahead`: the catalog does not have it, yet or for ever. `lastBefore` is the last change before the
 * first epoch after the point's own; undefined: no later epoch began.
 */
export function placeInFeed(
  point: FeedPoint,
  state: FeedState,
  lastBefore: number | undefined,
): 'kept' | 'gone' | 'ahead' {
  if (lastBefore !== undefined && point.seq > lastBefore) return 'gone';
  if (point.epoch > state.epoch || point.seq > state.lastSeq) return 'ahead';
  return point.seq < state.firstSeq - 1 ? 'gone' : 'kept';
}
