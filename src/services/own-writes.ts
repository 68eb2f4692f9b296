import type { Point } from '../domain/position.js';
import { LRUCache } from 'lru-cache';
import { isReached } from '../domain/position.js';
import type { Caller } from '../domain/caller.js';

/** Callers whose last write is remembered. */
const CALLERS_MAX = 10_000;

/**
 * What each caller wrote last through this node, so that its next read here sees it without asking for anything. A write is
 * forgotten once the node's copy has it.
 */
export class OwnWrites {
  readonly #points = new LRUCache<string, Point>({ max: CALLERS_MAX });

  note(caller: Caller, point: Point): void {
    const key = keyOf(caller);
    const before = this.#points.get(key);
    if (before === undefined || !isReached(before, point)) this.#points.set(key, point);
  }

  /** The point that the caller's reads must see; undefined when the copy at `have` has all it wrote. */
  pending(caller: Caller, have: Point): Point | undefined {
    const key = keyOf(caller);
    const point = this.#points.get(key);
    if (point === undefined) return undefined;
    if (!isReached(have, point)) return point;
    this.#points.delete(key);
    return undefined;
  }
}

function keyOf({ kind, projectId, userId }: Caller): string {
  return JSON.stringify([kind, projectId, userId]);
}
