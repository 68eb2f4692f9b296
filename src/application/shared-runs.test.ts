import { expect, it } from 'vitest';
import { type RunControl, SharedRuns } from './shared-runs.js';

interface Work {
  readonly controls: RunControl[];
  readonly ends: ((result: string) => void)[];
  readonly run: (control: RunControl) => Promise<string>;
}

/** Work that ends when the test says so, or as it is told to stop. */
function work(): Work {
  const controls: RunControl[] = [];
  const ends: ((result: string) => void)[] = [];
  return {
    controls,
    ends,
    run: (control) =>
      new Promise((resolve, reject) => {
        controls.push(control);
        ends.push(resolve);
        control.signal.addEventListener('abort', () => reject(new Error('stopped')));
      }),
  };
}

function caller(): { readonly stop: AbortController; readonly seen: number[]; readonly control: RunControl } {
  const stop = new AbortController();
  const seen: number[] = [];
  return { stop, seen, control: { signal: stop.signal, report: (done) => seen.push(done) } };
}

it('does the work once for all who want it, and tells all of them', async () => {
  const runs = new SharedRuns<string>();
  const [one, two, task] = [caller(), caller(), work()];
  const answers = [one, two].map(({ control }) => runs.join('file', 'a', control, task.run));
  task.controls[0]?.report(7, 9);
  task.ends[0]?.('done');
  expect(await Promise.all(answers)).toEqual(['done', 'done']);
  expect([task.controls.length, one.seen, two.seen]).toEqual([1, [7], [7]]);
});

it('goes on when one leaves, and stops when the last one does', async () => {
  const runs = new SharedRuns<string>();
  const [one, two, task] = [caller(), caller(), work()];
  const answers = [one, two].map(({ control }) => runs.join('file', 'a', control, task.run));
  one.stop.abort(new Error('left'));
  await expect(answers[0]).rejects.toThrow('left');
  expect(task.controls[0]?.signal.aborted).toBe(false);
  two.stop.abort(new Error('left too'));
  await expect(answers[1]).rejects.toThrow('left too');
  expect(task.controls[0]?.signal.aborted).toBe(true);
});

it('refuses other work for the same key, and begins anew behind work that was given up', async () => {
  const runs = new SharedRuns<string>();
  const [one, two, task] = [caller(), caller(), work()];
  const first = runs.join('file', 'a', one.control, task.run);
  await expect(runs.join('file', 'b', two.control, task.run)).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
  one.stop.abort(new Error('left'));
  await expect(first).rejects.toThrow('left');
  const second = runs.join('file', 'b', two.control, task.run);
  await expect.poll(() => task.ends.length).toBe(2);
  task.ends[1]?.('done');
  expect(await second).toBe('done');
});

it('tells all of them of a failure, and forgets it', async () => {
  const runs = new SharedRuns<string>();
  const { control } = caller();
  await expect(runs.join('file', 'a', control, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await runs.join('file', 'a', control, () => Promise.resolve('done'))).toBe('done');
});
