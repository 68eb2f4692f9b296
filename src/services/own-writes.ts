import type { Point } from '../domain/position.js';
import { LRUCache } from 'lru-cache';
import { isReached } from '../domain/position.js';
import type { Caller } from '../domain/caller.js';

/** Callers whose last write is remembered. */
const CALLERS_MAX = 10_000;

/** A write that the copy does not have yet. */
export interface PendingWrite {
  readonly point: Point;
  /** How long ago it was acknowledged. */
  readonly ageMs: number;
}

/**
 * What each caller wrote last through this node, so that its next read here sees it without asking for anything. A write is
 * forgotten once the node's copy has it.
 */
export class OwnWrites {
  readonly #writes = new LRUCache<string, { readonly point: Point; readonly atMs: number }>({ max: CALLERS_MAX });
  readonly #nowMs: () => number;

  constructor(nowMs = (): number => performance.now()) {
    this.#nowMs = nowMs;
  }

  note(caller: Caller, point: Point): void {
    const key = keyOf(caller);
    const before = this.#writes.get(key);
    if (before === undefined || !isReached(before.point, point)) this.#writes.set(key, { point, atMs: this.#nowMs() });
  }

  /** What the caller's reads must see; undefined when the copy at `have` has all it wrote. */
  pending(caller: Caller, have: Point): PendingWrite | undefined {
    const key = keyOf(caller);
    const write = this.#writes.get(key);
    if (write === undefined) return undefined;
    const { point, atMs } = write;
    if (!isReached(have, point)) return { point, ageMs: this.#nowMs() - atMs };
    this.#writes.delete(key);
    return undefined;
  }
}

function keyOf({ kind, projectId, userId }: Caller): string {
  return JSON.stringify([kind, projectId, userId]);
}
