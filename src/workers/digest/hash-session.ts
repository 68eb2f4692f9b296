import type { DigestSession, Digests } from '../../application/ports/digester.js';
import { assert } from '../../base/assert.js';
import { ServiceError } from '../../base/service-error.js';
import { UNIT_BYTES } from '../../base/units.js';
import { DIGEST_BYTES, ZERO_WORD } from './digest-protocol.js';
import type { HashLane, LaneListener } from './hash-lane.js';
import type { PooledSlot } from './slot-pool.js';

/** Units of one session in memory at once: one being filled, one at the consumer, two before the threads. */
const MAX_SLOTS = 4;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** One stream through a lane. */
export class HashSession implements DigestSession, LaneListener {
  readonly #lane: HashLane;
  readonly #sessionId: number;
  /** For each slot given to the threads, whether the threads and the consumer still use it (2, then 1). */
  readonly #users = new Map<PooledSlot, number>();
  #heldSlots = 0;
  #slotWaiter: Waiter | undefined;
  #finishWaiter: Waiter | undefined;
  #phase: 'new' | 'streaming' | 'streamed' | 'finishing' | 'closed' = 'new';
  #failure: ServiceError | undefined;
  #sizeBytes = 0;
  #unitCount = 0;
  #unitDigests = new Uint8Array(64 * DIGEST_BYTES);
  #unitIsZero = new Uint8Array(64);
  #checksum: string | undefined;
  #osHashValue: string | undefined;

  constructor(lane: HashLane, osHashAlgo: string) {
    this.#lane = lane;
    this.#sessionId = lane.open(osHashAlgo, this);
  }

  async *units(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    assert(this.#phase === 'new', 'a digest session passes one source');
    this.#phase = 'streaming';
    let filling: PooledSlot | undefined;
    let filledBytes = 0;
    try {
      for await (const chunk of source) {
        let takenBytes = 0;
        while (takenBytes < chunk.length) {
          filling ??= await this.#takeSlot();
          const part = chunk.subarray(takenBytes, takenBytes + UNIT_BYTES - filledBytes);
          filling.unit.set(part, filledBytes);
          takenBytes += part.length;
          filledBytes += part.length;
          if (filledBytes < UNIT_BYTES) continue;
          const slot = filling;
          filling = undefined;
          filledBytes = 0;
          yield* this.#pass(slot, UNIT_BYTES);
        }
      }
      if (filling !== undefined) {
        const slot = filling;
        filling = undefined;
        yield* this.#pass(slot, filledBytes);
      }
      this.#throwIfOver();
      this.#phase = 'streamed';
    } finally {
      if (filling !== undefined) this.#giveSlot(filling);
    }
  }

  async finish(): Promise<Digests> {
    this.#throwIfOver();
    assert(this.#phase === 'streamed', 'finish comes after the units ended');
    this.#phase = 'finishing';
    await new Promise<void>((resolve, reject) => {
      this.#finishWaiter = { resolve, reject };
      this.#lane.finish(this.#sessionId);
    });
    const checksum = this.#checksum;
    const osHashValue = this.#osHashValue;
    assert(checksum !== undefined && osHashValue !== undefined, 'both threads gave their digest');
    return {
      sizeBytes: this.#sizeBytes,
      checksum,
      osHashValue,
      unitDigests: this.#unitDigests.slice(0, this.#unitCount * DIGEST_BYTES),
      unitIsZero: this.#unitIsZero.slice(0, this.#unitCount),
    };
  }

  abort(): void {
    if (this.#phase === 'closed') return;
    this.#close(new ServiceError('CANCELLED', 'the digest session was aborted'));
    this.#lane.closeSession(this.#sessionId, { aborted: true });
  }

  unitDone(slot: PooledSlot, unitIndex: number): void {
    this.#unitDigests.set(slot.digest, unitIndex * DIGEST_BYTES);
    this.#unitIsZero[unitIndex] = slot.words[ZERO_WORD] ?? 0;
    this.#letGo(slot);
  }

  streamDigest(which: 'md5' | 'osHash', hex: string): void {
    if (which === 'md5') this.#checksum = hex;
    else this.#osHashValue = hex;
    if (this.#checksum === undefined || this.#osHashValue === undefined) return;
    // Each thread reports its units before its digest, so every unit is in by now.
    this.#phase = 'closed';
    this.#lane.closeSession(this.#sessionId, { aborted: false });
    this.#finishWaiter?.resolve();
  }

  failed(error: ServiceError): void {
    this.#close(error);
  }

  /** Hands a full slot to the threads and to the consumer. */
  *#pass(slot: PooledSlot, lengthBytes: number): Generator<Uint8Array> {
    if (this.#failure !== undefined) {
      this.#giveSlot(slot);
      throw this.#failure;
    }
    const unitIndex = this.#unitCount++;
    this.#sizeBytes += lengthBytes;
    this.#makeRoomFor(unitIndex);
    this.#users.set(slot, 2);
    this.#lane.hash(this.#sessionId, { slot, unitIndex, lengthBytes });
    try {
      yield slot.unit.subarray(0, lengthBytes);
    } finally {
      this.#letGo(slot);
    }
  }

  #makeRoomFor(unitIndex: number): void {
    if (unitIndex < this.#unitIsZero.length) return;
    const unitIsZero = new Uint8Array(this.#unitIsZero.length * 2);
    unitIsZero.set(this.#unitIsZero);
    this.#unitIsZero = unitIsZero;
    const unitDigests = new Uint8Array(this.#unitDigests.length * 2);
    unitDigests.set(this.#unitDigests);
    this.#unitDigests = unitDigests;
  }

  /** Counts one user of the slot off: the threads together are one, the consumer is the other. */
  #letGo(slot: PooledSlot): void {
    const users = this.#users.get(slot);
    if (users === 2) {
      this.#users.set(slot, 1);
    } else {
      this.#users.delete(slot);
      this.#giveSlot(slot);
    }
  }

  async #takeSlot(): Promise<PooledSlot> {
    while (this.#heldSlots >= MAX_SLOTS && this.#failure === undefined) {
      await new Promise<void>((resolve, reject) => {
        this.#slotWaiter = { resolve, reject };
      });
    }
    this.#throwIfOver();
    this.#heldSlots++;
    return this.#lane.pool.take();
  }

  #giveSlot(slot: PooledSlot): void {
    this.#heldSlots--;
    this.#lane.pool.give(slot);
    this.#slotWaiter?.resolve();
    this.#slotWaiter = undefined;
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #close(error: ServiceError): void {
    this.#phase = 'closed';
    this.#failure = error;
    this.#slotWaiter?.reject(error);
    this.#finishWaiter?.reject(error);
  }
}
