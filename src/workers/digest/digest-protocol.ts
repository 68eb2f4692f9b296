/**
 * What the digester and its hash threads say to each other, and the memory they share.
 *
 * A slot is one SharedArrayBuffer that carries a unit from the main thread to both hash threads:
 *
 *   offset  bytes  field
 *        0      4  pending: how many threads have yet to hash the unit (Atomics)
 *        4      4  claimed: 1 once a thread took the unit's BLAKE3 upon itself (Atomics)
 *        8      4  zero: 1 when the unit is all zero
 *       32     32  BLAKE3 of the unit
 *       64  1 MiB  the unit
 *
 * Integers are in host byte order: the memory never leaves the process.
 */
import { UNIT_BYTES } from '../../base/units.js';

/** Bytes of a SHA-256 digest. */
export const DIGEST_BYTES = 32;
const DIGEST_OFFSET = 32;
const UNIT_OFFSET = 64;

/** Index of the field in `Slot.words`. */
export const PENDING_WORD = 0;
export const CLAIMED_WORD = 1;
export const ZERO_WORD = 2;

/** A slot's memory, seen from one thread. */
export interface Slot {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly digest: Uint8Array;
  /** Room for one unit. */
  readonly unit: Uint8Array;
}

/** Allocates the memory of one slot; the system hands out the pages when they are written. */
export function allocateSlotMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(UNIT_OFFSET + UNIT_BYTES);
}

/** Lays the fields over the memory of a slot. */
export function slotOver(memory: SharedArrayBuffer): Slot {
  return {
    memory,
    words: new Int32Array(memory, 0, 4),
    digest: new Uint8Array(memory, DIGEST_OFFSET, DIGEST_BYTES),
    unit: new Uint8Array(memory, UNIT_OFFSET, UNIT_BYTES),
  };
}

/** To a hash thread. `add-slot` comes before the first use of a slot; messages are handled in order. */
export type ToThread =
  | { readonly kind: 'add-slot'; readonly slotId: number; readonly memory: SharedArrayBuffer }
  | { readonly kind: 'drop-slot'; readonly slotId: number }
  | { readonly kind: 'open'; readonly sessionId: number; readonly algorithm: string }
  | {
      readonly kind: 'unit';
      readonly sessionId: number;
      readonly slotId: number;
      readonly unitIndex: number;
      readonly lengthBytes: number;
    }
  | { readonly kind: 'finish'; readonly sessionId: number }
  | { readonly kind: 'abort'; readonly sessionId: number };

/** From a hash thread. `unit-done` is sent by the thread that was the last to hash the unit. */
export type FromThread =
  | { readonly kind: 'unit-done'; readonly sessionId: number; readonly slotId: number; readonly unitIndex: number }
  | { readonly kind: 'digest'; readonly sessionId: number; readonly hex: string };
