import { describe, expect, test } from 'vitest';
import { ClusterKey } from '../identity/cluster-key.js';
import { nextTerm } from '../domain/epoch.js';
import { AuthorityFence } from './authority-fence.js';

describe('the fence', () => {
  test('shuts once, for a later epoch than that of the file', () => {
    const shut: number[] = [];
    let epoch = 5;
    let durable = false;
    const fence = new AuthorityFence({
      epoch: () => epoch,
      fence: (seen) => {
        shut.push(seen);
        return durable;
      },
    });
    for (const seen of [0, 4, 5]) fence.see(seen);
    epoch = 6;
    fence.see(6);
    expect(shut).toEqual([]);
    expect(() => fence.check()).not.toThrow();
    fence.see(7);
    expect(() => fence.check()).toThrow(/replaced by another/);
    // The mark was not written, on a full disk say: the next one who comes by has it tried again.
    durable = true;
    fence.see(8);
    fence.see(9);
    expect(shut).toEqual([7, 8]);
    expect(() => fence.check()).toThrow(/replaced by another, whose catalog is of epoch 7/);
  });

  test('believes an epoch that the key of the cluster proves, and no other', () => {
    const [key, other] = [1, 2].map((byte) => new ClusterKey(Buffer.alloc(32, byte)).epochsOf(() => 11));
    const elsewhere = new ClusterKey(Buffer.alloc(32, 1)).epochsOf(() => 12);
    if (key === undefined || other === undefined) throw new Error('two keys');
    expect(key.proves(7, key.prove(7))).toBe(true);
    expect(key.proves(8, key.prove(7))).toBe(false);
    expect(key.proves(7, other.prove(7))).toBe(false);
    expect(key.proves(7, Buffer.alloc(0))).toBe(false);
    // Of another catalog, by the same key.
    expect(key.proves(7, elsewhere.prove(7))).toBe(false);
  });
});

test('a term is later than what restarts or a lost folder can have reached', () => {
  expect(nextTerm(3, 1_800_000_000_000)).toBe(1_800_000_000_000);
  expect(nextTerm(1_800_000_000_005, 1_700_000_000_000)).toBeGreaterThan(1_800_000_000_005 + 500_000);
});
