import { describe, expect, test } from 'vitest';
import { ClusterKey } from '../identity/cluster-key.js';
import { nextTerm } from '../domain/epoch.js';
import { AuthorityFence } from './authority-fence.js';

describe('the fence', () => {
  test('shuts once, for a later epoch than that of the file', () => {
    const shut: number[] = [];
    let epoch = 5;
    const fence = new AuthorityFence({ epoch: () => epoch, fence: (seen) => shut.push(seen) });
    for (const seen of [0, 4, 5]) fence.see(seen);
    epoch = 6;
    fence.see(6);
    expect(shut).toEqual([]);
    expect(() => fence.check()).not.toThrow();
    fence.see(7);
    fence.see(8);
    expect(shut).toEqual([7]);
    expect(() => fence.check()).toThrow(/replaced by another, whose catalog is of epoch 7/);
  });

  test('believes an epoch that the key of the cluster proves, and no other', () => {
    const [key, other] = [new ClusterKey(Buffer.alloc(32, 1)), new ClusterKey(Buffer.alloc(32, 2))];
    expect(key.epochs.proves(7, key.epochs.prove(7))).toBe(true);
    expect(key.epochs.proves(8, key.epochs.prove(7))).toBe(false);
    expect(key.epochs.proves(7, other.epochs.prove(7))).toBe(false);
    expect(key.epochs.proves(7, Buffer.alloc(0))).toBe(false);
  });
});

test('a term is later than what restarts or a lost folder can have reached', () => {
  expect(nextTerm(3, 1_800_000_000_000)).toBe(1_800_000_000_000);
  expect(nextTerm(1_800_000_000_005, 1_700_000_000_000)).toBeGreaterThan(1_800_000_000_005 + 500_000);
});
