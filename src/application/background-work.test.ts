import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { asImageId, asNodeId, type ImageId } from '../base/brand.js';
import type { ImageWork, WorkName } from '../domain/image-work.js';
import { BackgroundWork, type DoWork, type ListWork } from './background-work.js';

const nodeId = asNodeId('n1');
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** A clock that a test moves on; it lets what was started go on between. */
class HandTimer {
  #nowMs = 0;
  #wakes: { readonly atMs: number; readonly wake: () => void }[] = [];

  elapsedMs(): number {
    return this.#nowMs;
  }

  schedule(wake: () => void, delayMs: number): () => void {
    const entry = { atMs: this.#nowMs + delayMs, wake };
    this.#wakes.push(entry);
    return () => {
      this.#wakes = this.#wakes.filter((other) => other !== entry);
    };
  }

  async pass(ms: number): Promise<void> {
    this.#nowMs += ms;
    const due = this.#wakes.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#wakes = this.#wakes.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { wake } of due) wake();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }
}

function imageIds(count: number): readonly ImageId[] {
  return Array.from({ length: count }, () => asImageId(randomUUID()) ?? expect.fail()).sort();
}

function worker(
  rows: ImageWork[],
  hash: DoWork,
  repair?: DoWork,
): { readonly work: BackgroundWork; readonly timer: HandTimer } {
  const timer = new HandTimer();
  const nameOf = ({ kind, imageId }: WorkName): string => `${kind} ${imageId}`;
  const list: ListWork = (after, limit) => {
    const left = rows.filter((row) => after === undefined || nameOf(row) > nameOf(after));
    return Promise.resolve(left.slice(0, limit));
  };
  const none: DoWork = () => Promise.reject(new Error('no such work is listed'));
  return { work: new BackgroundWork({ list, timer, log }, { hash, repair: repair ?? none }), timer };
}

const rowOf = (imageId: ImageId): ImageWork => ({ nodeId, kind: 'hash', imageId, candidate: null });

describe('background work', () => {
  test('is all done, a few pieces at a time, however much there is', async () => {
    const rows = imageIds(250).map(rowOf);
    const done: string[] = [];
    let running = 0;
    let most = 0;
    const { work, timer } = worker(rows, async (imageId) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      done.push(imageId);
      rows.splice(
        rows.findIndex((row) => row.imageId === imageId),
        1,
      );
    });
    work.wake();
    for (let turn = 0; turn < 300 && rows.length > 0; turn += 1) await timer.pass(500);
    expect(rows).toEqual([]);
    expect(new Set(done).size).toBe(250);
    expect(done).toHaveLength(250);
    expect(most).toBe(2);
    await work.close();
  });

  test('that fails is tried again after longer and longer pauses, and holds up nothing else', async () => {
    const [bad, ...good] = imageIds(4);
    const rows = [bad ?? expect.fail(), ...good].map(rowOf);
    let tries = 0;
    const { work, timer } = worker(rows, (imageId) => {
      if (imageId !== bad)
        rows.splice(
          rows.findIndex((row) => row.imageId === imageId),
          1,
        );
      else tries += 1;
      return imageId === bad ? Promise.reject(new Error('not now')) : Promise.resolve();
    });
    work.wake();
    const triesBy: number[] = [];
    for (let second = 0; second <= 40; second += 1) {
      await timer.pass(1000);
      if (second % 10 === 0) triesBy.push(tries);
    }
    expect(rows).toEqual([rowOf(bad ?? expect.fail())]);
    // At 1, 6, 16 and 36 s.
    expect(triesBy).toEqual([1, 2, 3, 3, 4]);
    await work.close();
  });

  test('looks when it is woken although a failed piece has a longer pause', async () => {
    const [bad = expect.fail(), good = expect.fail()] = imageIds(2);
    const rows = [rowOf(bad)];
    const done: string[] = [];
    const { work, timer } = worker(rows, (imageId) => {
      if (imageId === bad) return Promise.reject(new Error('not now'));
      done.push(imageId);
      rows.pop();
      return Promise.resolve();
    });
    work.wake();
    await timer.pass(1000);
    rows.push(rowOf(good));
    work.wake();
    await timer.pass(500);
    expect(done).toEqual([good]);
    await work.close();
  });

  test('of one kind does not wait for that of the other, however much there is', async () => {
    const ids = imageIds(250);
    const repairs = ids.slice(0, 3).map((imageId): ImageWork => ({ ...rowOf(imageId), kind: 'repair' }));
    const rows = [...ids.map(rowOf), ...repairs];
    let hashing = 0;
    const repaired: string[] = [];
    const forever: DoWork = (_imageId, signal) => {
      hashing += 1;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
    };
    const { work, timer } = worker(rows, forever, (imageId) => {
      repaired.push(imageId);
      return Promise.resolve();
    });
    work.wake();
    for (let turn = 0; turn < 4; turn += 1) await timer.pass(500);
    expect(hashing).toBe(2);
    expect(repaired.sort()).toEqual(repairs.map(({ imageId }) => imageId));
    await work.close();
  });

  test('that takes too long is ended and tried again later', async () => {
    const [slow = expect.fail()] = imageIds(1);
    const reasons: string[] = [];
    const failuresSeen: number[] = [];
    const { work, timer } = worker([rowOf(slow)], (_imageId, signal, failures) => {
      failuresSeen.push(failures);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push(String(signal.reason));
          reject(new Error('ended'));
        });
      });
    });
    work.wake();
    await timer.pass(500);
    await timer.pass(6 * 3_600_000 - 1);
    expect(reasons).toEqual([]);
    await timer.pass(1);
    expect(reasons).toEqual([expect.stringContaining('longer than 6 hours')]);
    await timer.pass(500);
    await timer.pass(5000);
    expect(failuresSeen).toEqual([0, 1]);
    await work.close();
  });

  test('ends with its image and with the node', async () => {
    const [first = expect.fail(), second = expect.fail()] = imageIds(2);
    const aborted: string[] = [];
    const { work, timer } = worker([rowOf(first), rowOf(second)], (imageId, signal) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(imageId);
          reject(new Error('ended'));
        });
      });
    });
    work.wake();
    await timer.pass(500);
    work.stop(first);
    expect(aborted).toEqual([first]);
    await work.close();
    expect(aborted).toEqual([first, second]);
    await timer.pass(10_000);
    expect(aborted).toHaveLength(2);
  });
});
