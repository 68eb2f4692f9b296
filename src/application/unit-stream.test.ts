import { expect, test } from 'vitest';
import { unitsOf } from './unit-stream.js';

const MINUTE_MS = 60_000;

async function readAll(lengthBytes: number, bytesPerMinute: number, leastBytesPerS: number): Promise<number> {
  let nowMs = 0;
  const timer = { elapsedMs: () => nowMs, schedule: () => () => undefined };
  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < lengthBytes; at += bytesPerMinute) {
      nowMs += MINUTE_MS;
      await Promise.resolve();
      yield new Uint8Array(Math.min(bytesPerMinute, lengthBytes - at));
    }
  }
  let came = 0;
  const limit = { timer, storeIdleMs: 2 * MINUTE_MS };
  for await (const unit of unitsOf(source(), { lengthBytes, limit, leastBytesPerS })) {
    came += unit.length;
    // Time that the reader takes is not the source's.
    nowMs += 60 * MINUTE_MS;
  }
  return came;
}

test('a source must keep the least pace on average, but for its start', async () => {
  expect(await readAll(100_000, 6000, 100)).toBe(100_000);
  expect(await readAll(1000, 200, 1_000_000)).toBe(1000);
  await expect(readAll(100_000, 1000, 100)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  expect(await readAll(100_000, 1000, 0)).toBe(100_000);
});
