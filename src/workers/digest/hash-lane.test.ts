import { describe, expect, test } from 'vitest';
import { UNIT_BYTES } from '../../base/units.js';
import { ServiceError } from '../../base/service-error.js';
import { HashLane } from './hash-lane.js';
import { HashSession } from './hash-session.js';

describe('hash lane', () => {
  test('a thread that dies fails every session with INTERNAL and the lane reports itself dead', async () => {
    let dead = 0;
    const lane = new HashLane(() => dead++);
    // A running hash that the thread cannot make stands for any fault inside it.
    const session = new HashSession(lane, 'no-such-hash');
    const bystander = new HashSession(lane, 'sha256');
    async function* source(): AsyncGenerator<Uint8Array> {
      for (;;) yield await Promise.resolve(new Uint8Array(UNIT_BYTES));
    }
    const consume = async (one: HashSession): Promise<void> => {
      for await (const unit of one.units(source())) expect(unit.length).toBe(UNIT_BYTES);
    };
    const [first, second] = await Promise.allSettled([consume(session), consume(bystander)]);
    expect(first).toMatchObject({ status: 'rejected', reason: { reason: 'INTERNAL' } });
    expect(second).toMatchObject({ status: 'rejected', reason: { reason: 'INTERNAL' } });
    expect(dead).toBe(1);
    session.abort();
    await lane.stop(new ServiceError('UNAVAILABLE', 'test over'));
  });

  test('keeps at most eight free slots', async () => {
    const lane = new HashLane(() => undefined);
    const slots = Array.from({ length: 20 }, () => lane.pool.take());
    for (const slot of slots) lane.pool.give(slot);
    expect(lane.pool.freeCount).toBe(8);
    lane.pool.clear();
    expect(lane.pool.freeCount).toBe(0);
    await lane.stop(new ServiceError('UNAVAILABLE', 'test over'));
  });
});
