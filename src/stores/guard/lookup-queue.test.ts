import { describe, expect, it } from 'vitest';
import { queuedResolve } from './lookup-queue.js';

const LIMITS = { slots: 2, waitingMax: 3, waitMs: 50 };

/** A resolver that answers when told to. */
function resolver() {
  const asked: string[] = [];
  const answers = new Map<string, () => void>();
  const ask = (hostname: string): Promise<readonly string[]> => {
    asked.push(hostname);
    return new Promise((resolve) => answers.set(hostname, () => resolve([hostname])));
  };
  return { asked, answer: (hostname: string) => answers.get(hostname)?.(), ask };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('names that are looked up', () => {
  it('share the lookup when they are the same', async () => {
    const { asked, answer, ask } = resolver();
    const resolve = queuedResolve(ask, LIMITS);
    const both = Promise.all([resolve('a.one.test'), resolve('a.one.test')]);
    await turn();
    answer('a.one.test');
    expect(await both).toEqual([['a.one.test'], ['a.one.test']]);
    expect(asked).toEqual(['a.one.test']);
  });

  it('do not wait for a domain whose server is silent', async () => {
    const { asked, answer, ask } = resolver();
    const resolve = queuedResolve(ask, LIMITS);
    const silent = ['a', 'b', 'c'].map((label) => expect(resolve(`${label}.silent.test`)).rejects.toThrow('within'));
    const good = resolve('good.test');
    await turn();
    answer('good.test');
    expect(await good).toEqual(['good.test']);
    await Promise.all(silent);
    // The others of the domain were given up before their turn came.
    answer('a.silent.test');
    await turn();
    expect(asked).toEqual(['a.silent.test', 'good.test']);
    const again = resolve('b.silent.test');
    await turn();
    answer('b.silent.test');
    expect(await again).toEqual(['b.silent.test']);
  });

  it('are refused when too many wait', async () => {
    const resolve = queuedResolve(resolver().ask, LIMITS);
    const waiting = ['a', 'b', 'c', 'd'].map((label) => expect(resolve(`${label}.one.test`)).rejects.toThrow('within'));
    await turn();
    await expect(resolve('e.one.test')).rejects.toThrow('too many');
    await Promise.all(waiting);
  });
});
