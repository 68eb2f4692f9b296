/**
 * One hash thread. It keeps one running hash a session and feeds it every unit in order; whichever of the two threads is
 * first done with a unit's running hash also takes the unit's BLAKE3, so that the faster hash does more of the extra work
 * and neither core idles. BLAKE3 takes an eighth of the time of the others (docs/decisions/0020).
 */
import '../../hostfs/readable-stacks.js';
import { type Hash, createHash } from 'node:crypto';
import os from 'node:os';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { blake3 } from '@napi-rs/blake-hash';
import { assert } from '../../base/assert.js';
import { UNIT_BYTES } from '../../base/units.js';
import {
  CLAIMED_WORD,
  type FromThread,
  PENDING_WORD,
  type Slot,
  type ToThread,
  ZERO_WORD,
  slotOver,
} from './digest-protocol.js';

const ZEROS = Buffer.alloc(UNIT_BYTES);
const ZERO_UNIT_DIGEST = blake3(ZEROS);

/** Lower than the event loop, which answers everyone else on the same cores. */
const NICENESS = 5;

assert(parentPort !== null, 'digest.thread runs in a worker thread');
// Linux takes 0 for the calling thread; elsewhere it is the whole process, which would gain nothing.
if (process.platform === 'linux') os.setPriority(0, NICENESS);
serve(parentPort);

function serve(port: MessagePort): void {
  const slots = new Map<number, Slot>();
  const hashes = new Map<number, Hash>();
  const send = (message: FromThread): void => port.postMessage(message);

  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'add-slot':
        slots.set(message.slotId, slotOver(message.memory));
        return;
      case 'drop-slot':
        slots.delete(message.slotId);
        return;
      case 'open':
        hashes.set(message.sessionId, createHash(message.algorithm));
        return;
      case 'unit': {
        const slot = slots.get(message.slotId);
        const hash = hashes.get(message.sessionId);
        assert(slot !== undefined && hash !== undefined, `unit of session ${message.sessionId} has its slot and hash`);
        hash.update(slot.unit.subarray(0, message.lengthBytes));
        if (digestUnit(slot, message.lengthBytes)) {
          send({
            kind: 'unit-done',
            sessionId: message.sessionId,
            slotId: message.slotId,
            unitIndex: message.unitIndex,
          });
        }
        return;
      }
      case 'finish': {
        const hash = hashes.get(message.sessionId);
        assert(hash !== undefined, `session ${message.sessionId} is open`);
        hashes.delete(message.sessionId);
        send({ kind: 'digest', sessionId: message.sessionId, hex: hash.digest('hex') });
        return;
      }
      case 'abort':
        hashes.delete(message.sessionId);
    }
  });
}

/** Digests the unit unless the other thread does; true when this thread is the last to be done with the unit. */
function digestUnit(slot: Slot, lengthBytes: number): boolean {
  if (Atomics.compareExchange(slot.words, CLAIMED_WORD, 0, 1) === 0) {
    const unit = slot.unit.subarray(0, lengthBytes);
    const isZero = ZEROS.compare(unit, 0, lengthBytes, 0, lengthBytes) === 0;
    const whole = isZero && lengthBytes === UNIT_BYTES;
    slot.digest.set(whole ? ZERO_UNIT_DIGEST : blake3(Buffer.from(unit.buffer, unit.byteOffset, unit.length)));
    slot.words[ZERO_WORD] = isZero ? 1 : 0;
  }
  // Atomics.sub orders the plain writes above before the other side's reads.
  return Atomics.sub(slot.words, PENDING_WORD, 1) === 1;
}
