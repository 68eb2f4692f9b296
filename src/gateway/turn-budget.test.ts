import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { TurnBudget } from './turn-budget.js';

function busyFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

describe('turn budget', () => {
  test('admits at once while the turn has time', () => {
    let nowMs = 100;
    const budget = new TurnBudget(() => nowMs);
    expect([budget.admits(), budget.admits(), budget.admits()]).toEqual([true, true, true]);
    nowMs += 4.9;
    expect(budget.admits()).toBe(true);
    nowMs += 0.1;
    expect(budget.admits()).toBe(false);
  });

  test('once the time is used up, requests go on in their order, and others get a turn between them', async () => {
    const budget = new TurnBudget();
    const order: string[] = [];
    const request = async (name: string): Promise<void> => {
      if (!budget.admits()) await budget.turn();
      busyFor(30);
      order.push(name);
    };
    const all = ['a', 'b', 'c'].map((name) => request(name));
    void nextTurn().then(() => order.push('other'));
    await Promise.all(all);
    expect(order.filter((name) => name !== 'other')).toEqual(['a', 'b', 'c']);
    expect(order.indexOf('other')).toBeLessThan(order.indexOf('c'));
  });

  test('a turn that is over gives the next one its whole time', async () => {
    const budget = new TurnBudget();
    expect(budget.admits()).toBe(true);
    busyFor(30);
    expect(budget.admits()).toBe(false);
    await budget.turn();
    await nextTurn();
    await nextTurn();
    expect(budget.admits()).toBe(true);
  });
});
