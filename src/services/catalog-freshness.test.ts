import type { Point } from '../domain/position.js';
import { describe, expect, it } from 'vitest';
import { asProjectId } from '../base/brand.js';
import { isReached, parsePosition, positionText } from '../domain/position.js';
import type { Caller } from '../domain/caller.js';
import { CatalogFreshness } from './catalog-freshness.js';
import { OwnWrites } from './own-writes.js';

const caller = (userId: string): Caller => ({
  ...{ kind: 'user', userId, projectId: asProjectId('p') },
  ...{ roles: new Set<string>(), serviceRoles: new Set<string>() },
});

class FakeCopy {
  point: Point = { epoch: 1, frame: 5 };
  readonly waits: Point[] = [];

  waitFor(point: Point): Promise<void> {
    this.waits.push(point);
    return Promise.resolve();
  }

  status() {
    return { ok: true, message: '', position: { ...this.point, opId: '' }, stalenessMs: 7 };
  }
}

it('orders positions by epoch, then by frame', () => {
  expect(isReached({ epoch: 2, frame: 1 }, { epoch: 1, frame: 9 })).toBe(true);
  expect(isReached({ epoch: 1, frame: 9 }, { epoch: 2, frame: 1 })).toBe(false);
  expect(isReached({ epoch: 1, frame: 4 }, { epoch: 1, frame: 5 })).toBe(false);
  expect(parsePosition(positionText({ epoch: 3, frame: 1042 }))).toEqual({ epoch: 3, frame: 1042 });
});

it.each(['', '1', '1.', '.1', '-1.2', '1.2.3', '1.x', `1.${'9'.repeat(16)}`])('refuses %j as a position', (text) => {
  expect(() => parsePosition(text)).toThrow(expect.objectContaining({ reason: 'INVALID_ARGUMENT' }));
});

it('waits for the position that is asked for', async () => {
  const copy = new FakeCopy();
  const freshness = new CatalogFreshness(copy, null);
  await freshness.reach(caller('a'), { minPosition: undefined });
  expect(copy.waits).toEqual([]);
  await freshness.reach(caller('a'), { minPosition: '1.9' });
  expect(copy.waits).toEqual([{ epoch: 1, frame: 9 }]);
});

it('waits for what the caller itself wrote, and for nobody else', async () => {
  const copy = new FakeCopy();
  const ownWrites = new OwnWrites();
  const freshness = new CatalogFreshness(copy, ownWrites);
  ownWrites.note(caller('a'), { epoch: 1, frame: 8 });
  ownWrites.note(caller('a'), { epoch: 1, frame: 6 });
  await freshness.reach(caller('b'), { minPosition: undefined });
  expect(copy.waits).toEqual([]);
  await freshness.reach(caller('a'), { minPosition: undefined });
  expect(copy.waits).toEqual([{ epoch: 1, frame: 8 }]);
  copy.point = { epoch: 1, frame: 8 };
  await freshness.reach(caller('a'), { minPosition: undefined });
  expect(copy.waits).toHaveLength(1);
});

describe('while the copy gets no news', () => {
  const cutOff = (copy: FakeCopy, ownWrites: OwnWrites): CatalogFreshness =>
    new CatalogFreshness(copy, ownWrites, () => 'the sync fails: no route');

  it('refuses at once what it cannot show, and says how far it is', async () => {
    const copy = new FakeCopy();
    const ownWrites = new OwnWrites();
    const freshness = cutOff(copy, ownWrites);
    ownWrites.note(caller('a'), { epoch: 1, frame: 8 });
    const refusal = {
      reason: 'UNAVAILABLE',
      message: expect.stringMatching(/position 1\.8, .* at 1\.5, is 7 ms old .*no route/) as string,
      details: { expected: '1.8', found: '1.5', retry_after: '5' },
    };
    await expect(freshness.reach(caller('a'), { minPosition: undefined })).rejects.toMatchObject(refusal);
    await expect(freshness.reach(caller('b'), { minPosition: '1.8' })).rejects.toMatchObject(refusal);
    expect(copy.waits).toEqual([]);
    await freshness.reach(caller('b'), { minPosition: '1.5' });
  });

  it('does not hold a caller to its own write for longer than 30 s, but to a position that it names', async () => {
    let nowMs = 0;
    const copy = new FakeCopy();
    const ownWrites = new OwnWrites(() => nowMs);
    const freshness = cutOff(copy, ownWrites);
    ownWrites.note(caller('a'), { epoch: 1, frame: 8 });
    nowMs = 30_000;
    await expect(freshness.reach(caller('a'), { minPosition: undefined })).rejects.toThrow('position 1.8');
    nowMs = 30_001;
    await freshness.reach(caller('a'), { minPosition: undefined });
    await expect(freshness.reach(caller('a'), { minPosition: '1.8' })).rejects.toThrow('position 1.8');
    // Another write counts anew, and with news it is waited for, however old it is.
    ownWrites.note(caller('a'), { epoch: 1, frame: 9 });
    await expect(freshness.reach(caller('a'), { minPosition: undefined })).rejects.toThrow('position 1.9');
    nowMs = 90_000;
    await new CatalogFreshness(copy, ownWrites).reach(caller('a'), { minPosition: undefined });
    expect(copy.waits).toEqual([{ epoch: 1, frame: 9 }]);
  });
});

it('tells the position and the age of what was read', () => {
  let told: unknown;
  new CatalogFreshness(new FakeCopy(), null).tell({ answeredAt: (freshness) => (told = freshness) });
  expect(told).toEqual({ position: '1.5', stalenessMs: 7 });
});
