import { ServiceError } from '../base/service-error.js';

/** A point in the history of the catalog: a later epoch is newer, whatever its frames. */
export interface Point {
  readonly epoch: number;
  readonly frame: number;
}

/** Writes a point as callers see it: `epoch.frame`. */
export function positionText({ epoch, frame }: Point): string {
  return `${epoch}.${frame}`;
}

/** Reads what `positionText` wrote. INVALID_ARGUMENT: it is none. */
export function parsePosition(text: string): Point {
  const match = /^(\d{1,15})\.(\d{1,15})$/.exec(text);
  if (match === null)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `a position is an epoch and a frame such as 3.1042, got ${text.slice(0, 40)}`,
    );
  return { epoch: Number(match[1]), frame: Number(match[2]) };
}

/** Tells whether a point is as new as another: the later epoch is newer whatever its frames. */
export function isReached(have: Point, wanted: Point): boolean {
  return have.epoch > wanted.epoch || (have.epoch === wanted.epoch && have.frame >= wanted.frame);
}
