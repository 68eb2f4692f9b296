import { Worker } from 'node:worker_threads';
import { ServiceError } from '../../base/service-error.js';
import { CLAIMED_WORD, type FromThread, PENDING_WORD, type ToThread, ZERO_WORD } from './digest-protocol.js';
import { type PooledSlot, SlotPool } from './slot-pool.js';

/** A unit on its way through the threads. */
interface UnitInFlight {
  readonly slot: PooledSlot;
  readonly listener: LaneListener;
}

/** What a lane tells a session. After `failed` nothing more comes. */
export interface LaneListener {
  /** Both threads are done with the unit; digest and zero flag lie in the slot. */
  unitDone(slot: PooledSlot, unitIndex: number): void;
  /** A thread's digest of the whole stream. */
  streamDigest(which: 'md5' | 'osHash', hex: string): void;
  failed(error: ServiceError): void;
}

/**
 * Two hash threads, one for MD5 and one for the session's algorithm, shared by many sessions. When a thread ends by
 * itself the lane is dead: its sessions fail and a new lane must be made.
 */
export class HashLane {
  readonly #md5Thread: Worker;
  readonly #osHashThread: Worker;
  readonly #sessions = new Map<number, LaneListener>();
  readonly #inFlight = new Map<number, UnitInFlight>();
  readonly #onDead: () => void;
  #nextSessionId = 1;
  #dead = false;
  /** Where units get their memory. */
  readonly pool: SlotPool;

  constructor(onDead: () => void) {
    this.#onDead = onDead;
    this.#md5Thread = this.#startThread('md5');
    this.#osHashThread = this.#startThread('osHash');
    this.pool = new SlotPool({
      added: (slot) => this.#sendBoth({ kind: 'add-slot', slotId: slot.slotId, memory: slot.memory }),
      dropped: (slot) => this.#sendBoth({ kind: 'drop-slot', slotId: slot.slotId }),
    });
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Opens a session and returns its number. */
  open(osHashAlgo: string, listener: LaneListener): number {
    const sessionId = this.#nextSessionId++;
    this.#sessions.set(sessionId, listener);
    this.#send(this.#md5Thread, { kind: 'open', sessionId, algorithm: 'md5' });
    this.#send(this.#osHashThread, { kind: 'open', sessionId, algorithm: osHashAlgo });
    if (this.#sessions.size === 1) this.#keepProcessAlive(true);
    return sessionId;
  }

  /** Gives the filled slot to both threads, which must be its only users but for readers. */
  hash(sessionId: number, unit: { slot: PooledSlot; unitIndex: number; lengthBytes: number }): void {
    const listener = this.#sessions.get(sessionId);
    if (listener === undefined) return;
    const { slot, unitIndex, lengthBytes } = unit;
    slot.words[CLAIMED_WORD] = 0;
    slot.words[ZERO_WORD] = 0;
    Atomics.store(slot.words, PENDING_WORD, 2);
    this.#inFlight.set(slot.slotId, { slot, listener });
    this.#sendBoth({ kind: 'unit', sessionId, slotId: slot.slotId, unitIndex, lengthBytes });
  }

  /** Asks for the digests of the stream. */
  finish(sessionId: number): void {
    this.#sendBoth({ kind: 'finish', sessionId });
  }

  /** Ends a session: after its digests came, or (`aborted`) to make the threads forget it. */
  closeSession(sessionId: number, options: { readonly aborted: boolean }): void {
    if (!this.#sessions.delete(sessionId)) return;
    if (options.aborted) this.#sendBoth({ kind: 'abort', sessionId });
    if (this.#sessions.size === 0) this.#keepProcessAlive(false);
  }

  /** Ends both threads; open sessions fail with the error. */
  async stop(error: ServiceError): Promise<void> {
    this.#fail(error);
    await Promise.all([this.#md5Thread.terminate(), this.#osHashThread.terminate()]);
  }

  #startThread(which: 'md5' | 'osHash'): Worker {
    const thread = new Worker(new URL('./digest.thread.js', import.meta.url), { name: `digest-${which}` });
    thread.unref();
    thread.on('message', (message: FromThread) => this.#receive(which, message));
    // 'error' is always followed by 'exit'; the first of them fails the sessions and keeps the cause.
    thread.on('error', (cause) => this.#fail(new ServiceError('INTERNAL', `hash thread ${which} failed`, { cause })));
    thread.on('exit', (code) =>
      this.#fail(new ServiceError('INTERNAL', `hash thread ${which} ended with code ${code}`)),
    );
    return thread;
  }

  #receive(which: 'md5' | 'osHash', message: FromThread): void {
    switch (message.kind) {
      case 'unit-done': {
        const unit = this.#inFlight.get(message.slotId);
        this.#inFlight.delete(message.slotId);
        unit?.listener.unitDone(unit.slot, message.unitIndex);
        return;
      }
      case 'digest':
        this.#sessions.get(message.sessionId)?.streamDigest(which, message.hex);
    }
  }

  #fail(error: ServiceError): void {
    if (this.#dead) return;
    this.#dead = true;
    this.pool.clear();
    this.#inFlight.clear();
    this.#onDead();
    const listeners = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const listener of listeners) listener.failed(error);
    // The partner of a thread that ended has nothing left to do. terminate() does not reject.
    void this.#md5Thread.terminate();
    void this.#osHashThread.terminate();
  }

  /** A process may end while the threads are idle, but not while a session counts on them. */
  #keepProcessAlive(alive: boolean): void {
    for (const thread of [this.#md5Thread, this.#osHashThread]) {
      if (alive) thread.ref();
      else thread.unref();
    }
  }

  #sendBoth(message: ToThread): void {
    this.#send(this.#md5Thread, message);
    this.#send(this.#osHashThread, message);
  }

  #send(thread: Worker, message: ToThread): void {
    if (!this.#dead) thread.postMessage(message);
  }
}
