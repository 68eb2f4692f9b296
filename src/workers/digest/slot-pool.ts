import { type Slot, allocateSlotMemory, slotOver } from './digest-protocol.js';

/** A slot with the number by which the threads know it. */
export interface PooledSlot extends Slot {
  readonly slotId: number;
}

/** Tells the threads which slots there are. */
export interface SlotListener {
  added(slot: PooledSlot): void;
  dropped(slot: PooledSlot): void;
}

/** Slots kept for the next unit while sessions are open: two fast uploads' worth. */
const KEPT_SLOTS = 8;
/** Idle slots are given back to the system after this time. */
const IDLE_MS = 5_000;

/**
 * Slots, allocated on demand and reused. The number in use is bounded by the sessions (4 each); of those returned, at most
 * 8 are kept, and none once the pool was idle for a while.
 */
export class SlotPool {
  readonly #listener: SlotListener;
  readonly #free: PooledSlot[] = [];
  #nextId = 1;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(listener: SlotListener) {
    this.#listener = listener;
  }

  /** Number of slots kept for reuse. */
  get freeCount(): number {
    return this.#free.length;
  }

  take(): PooledSlot {
    const kept = this.#free.pop();
    if (kept !== undefined) return kept;
    const slot = { ...slotOver(allocateSlotMemory()), slotId: this.#nextId++ };
    this.#listener.added(slot);
    return slot;
  }

  /** Takes back a slot that nobody reads or writes any more. */
  give(slot: PooledSlot): void {
    if (this.#free.length >= KEPT_SLOTS) {
      this.#listener.dropped(slot);
      return;
    }
    this.#free.push(slot);
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.clear(), IDLE_MS);
    this.#idleTimer.unref();
  }

  /** Lets go of every free slot. */
  clear(): void {
    clearTimeout(this.#idleTimer);
    for (const slot of this.#free.splice(0)) this.#listener.dropped(slot);
  }
}
