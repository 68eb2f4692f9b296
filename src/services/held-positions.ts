import type { NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { isReached, type Point, positionText } from '../domain/position.js';

/** How long a change waits for a copy that has it; less than a forwarded call waits for its answer. */
const CONFIRM_MS = 5000;
/** How long a node's question stays open: no longer than a stop of the authority may wait for it. */
const ASK_MS = 1000;

interface Waiter {
  readonly wanted: Point;
  settle(): void;
}

/**
 * Which positions copies of the catalog hold on their disks, told by their nodes, who ask each time for what to hold next:
 * one round trip and a sync after a change, it is known to be held.
 */
export class HeldPositions {
  readonly #confirmMs: number;
  readonly #held = new Map<NodeId, Point>();
  readonly #waiters = new Set<Waiter>();
  readonly #asking = new Set<() => void>();

  constructor(confirmMs = CONFIRM_MS) {
    this.#confirmMs = confirmMs;
  }

  /** Notes what a node holds, and resolves to what to hold next: at once when a change waits for more. */
  async next(nodeId: NodeId, held: Point, signal: AbortSignal): Promise<Point> {
    this.#held.set(nodeId, held);
    for (const waiter of this.#waiters) if (isReached(held, waiter.wanted)) waiter.settle();
    const wanted = this.#wanted();
    if (wanted !== undefined && !isReached(held, wanted)) return wanted;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#asking.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ASK_MS);
      signal.addEventListener('abort', done);
      this.#asking.add(done);
    });
    return this.#wanted() ?? held;
  }

  /** Resolves when a copy holds the point. UNAVAILABLE: none does in time; the change is made all the same. */
  async until(point: Point): Promise<void> {
    for (const held of this.#held.values()) if (isReached(held, point)) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(notHeld(point, this.#confirmMs));
      }, this.#confirmMs);
      const waiter: Waiter = {
        wanted: point,
        settle: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      for (const answer of [...this.#asking]) answer();
    });
  }

  /** The latest point that is waited for. */
  #wanted(): Point | undefined {
    let latest: Point | undefined;
    for (const { wanted } of this.#waiters) if (latest === undefined || !isReached(latest, wanted)) latest = wanted;
    return latest;
  }
}

function notHeld(point: Point, waitedMs: number): ServiceError {
  return new ServiceError(
    'UNAVAILABLE',
    `The change is made at the authority (position ${positionText(point)}), but no copy of the catalog held it within ` +
      `${waitedMs / 1000} s, so it is lost should the authority be lost now. Sent again under the same request id it ` +
      'happens once, and succeeds as soon as a copy holds it.',
    { details: { retry_after: '5', position: positionText(point) } },
  );
}
