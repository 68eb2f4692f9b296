import { describe, expect, test } from 'vitest';
import { flushInTurn } from './flush-turns.js';

describe('turns at flushing', () => {
  test('two flush at once, the others wait, each in its turn, failures do not hold up the rest', async () => {
    const order: number[] = [];
    let running = 0;
    let most = 0;
    const flushes = Array.from({ length: 9 }, (_, index) =>
      flushInTurn(async () => {
        order.push(index);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        if (index % 3 === 0) throw new Error(`flush ${index}`);
      }),
    );
    const results = await Promise.allSettled(flushes);
    expect(most).toBe(2);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(results.filter((result) => result.status === 'rejected').length).toBe(3);
    let ran = false;
    await flushInTurn(() => {
      ran = true;
      return Promise.resolve();
    });
    expect(ran).toBe(true);
  });
});
