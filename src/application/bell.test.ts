import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Bell } from './bell.js';
import type { Timer } from './ports/clock.js';

const timer: Timer = {
  elapsedMs: () => performance.now(),
  schedule: (work, inMs) => {
    const timeout = setTimeout(work, inMs);
    return () => clearTimeout(timeout);
  },
};

describe('bell', () => {
  test('wakes all, a few a turn, so that others get theirs', async () => {
    const bell = new Bell(timer);
    let woken = 0;
    const waiting = Array.from({ length: 100 }, async () => {
      await bell.wait(bell.rings, 10_000, new AbortController().signal);
      woken += 1;
    });
    bell.ring();
    await nextTurn();
    expect(woken).toBeLessThan(100);
    await Promise.all(waiting);
    expect(woken).toBe(100);
  });

  test('who heard it already goes on at once, who asks for a turn waits for one', async () => {
    const bell = new Bell(timer);
    const { rings } = bell;
    bell.ring();
    const order: string[] = [];
    const { signal } = new AbortController();
    const turn = bell.wait(undefined, 0, signal).then(() => order.push('turn'));
    await bell.wait(rings, 10_000, signal).then(() => order.push('heard'));
    await turn;
    expect(order).toEqual(['heard', 'turn']);
  });
});
