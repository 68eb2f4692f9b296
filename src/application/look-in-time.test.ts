import { expect, test } from 'vitest';
import { lookInTime } from './look-in-time.js';

test('a look that never ends is given up when its time is over', async () => {
  const wakes: { readonly wake: () => void; readonly delayMs: number }[] = [];
  const timer = {
    elapsedMs: () => 70,
    schedule: (wake: () => void, delayMs: number) => {
      wakes.push({ wake, delayMs });
      return () => undefined;
    },
  };
  const signals: AbortSignal[] = [];
  const look = lookInTime(timer, 100, (signal) => {
    signals.push(signal);
    return new Promise(() => undefined);
  });
  expect(wakes.map(({ delayMs }) => delayMs)).toEqual([30]);
  wakes[0]?.wake();
  await expect(look).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  await expect(lookInTime(timer, 0, () => Promise.resolve(7))).resolves.toBe(7);
});
