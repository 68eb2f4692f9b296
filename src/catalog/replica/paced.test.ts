import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Paced } from './paced.js';

const LIMIT = { most: 2, spanMs: 100 };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('passes calls on at once, and those that are too many together at the end of the span', () => {
  const run = vi.fn();
  const paced = new Paced(run, LIMIT);
  for (let n = 0; n < 5; n += 1) paced.call();
  expect(run).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(99);
  expect(run).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(1);
  expect(run).toHaveBeenCalledTimes(3);
  // That one counts for the next span.
  for (let n = 0; n < 5; n += 1) paced.call();
  expect(run).toHaveBeenCalledTimes(4);
  vi.advanceTimersByTime(1000);
  expect(run).toHaveBeenCalledTimes(5);
  paced.call();
  expect(run).toHaveBeenCalledTimes(6);
});

test('passes nothing on after it was cancelled', () => {
  const run = vi.fn();
  const paced = new Paced(run, LIMIT);
  for (let n = 0; n < 5; n += 1) paced.call();
  paced.cancel();
  vi.advanceTimersByTime(1000);
  expect(run).toHaveBeenCalledTimes(2);
});
