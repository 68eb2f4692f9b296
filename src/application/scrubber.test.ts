import { describe, expect, test } from 'vitest';
import { Scrubber } from './scrubber.js';
import type { ScrubState } from './ports/scrub-state.js';

const ORPHANS = new Map([['fast/x', 1]]);
const FIRST: ScrubState = { passStartedAtMs: 0, after: null, orphans: ORPHANS };

/** Every pause is over at once. */
function setUp() {
  const saved: ScrubState[] = [];
  const mayBeSaved: (wanted: ScrubState) => boolean = () => true;
  const state = {
    loads: 0,
    failsLoading: 0,
    mayBeSaved,
    elapsedMs: 0,
    images: [] as readonly string[],
    onPage: (): void => undefined,
  };
  const imagesAfter = (after = ''): readonly object[] => {
    const next = state.images.find((id) => id > after);
    // A second passes from one page to the next.
    state.elapsedMs += 1000;
    state.onPage();
    return next === undefined ? [] : [{ id: next, status: 'queued' }];
  };
  const context = {
    catalog: {
      status: () => ({ ok: true, stalenessMs: 0 }),
      read: (query: (reader: object) => unknown) => Promise.resolve(query({ imagesAfter })),
    },
    stores: { all: [], get: () => undefined },
    clock: { nowMs: () => 1_000_000 },
    timer: {
      elapsedMs: () => state.elapsedMs,
      schedule: (then: () => void) => {
        const soon = setTimeout(then, 1);
        return () => clearTimeout(soon);
      },
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    state: {
      load: () => {
        state.loads += 1;
        return state.loads <= state.failsLoading ? Promise.reject(new Error('EIO')) : Promise.resolve(FIRST);
      },
      save: (wanted: ScrubState) =>
        state.mayBeSaved(wanted) ? Promise.resolve(void saved.push(wanted)) : Promise.reject(new Error('EIO')),
    },
  };
  const scrubber = new Scrubber(context as never, { intervalMs: 1000, rateBytes: 1, orphanGraceMs: 1000 });
  return { scrubber, state, saved };
}

describe('the scrubber', () => {
  test('reads its memory again when that fails, and does nothing before', async () => {
    const { scrubber, state, saved } = setUp();
    state.failsLoading = 2;
    scrubber.start();
    await expect.poll(() => scrubber.progress().passEndedAtMs).not.toBeNull();
    await scrubber.close();
    expect(state.loads).toBe(3);
    expect(saved.at(-1)).toMatchObject({ passStartedAtMs: 1_000_000, after: null });
  });

  test('makes its pass also when the sweep fails', async () => {
    const { scrubber, state, saved } = setUp();
    // Only the sweep saves while no pass is under way.
    state.mayBeSaved = ({ passStartedAtMs }) => passStartedAtMs !== 0;
    scrubber.start();
    await expect.poll(() => scrubber.progress().passEndedAtMs).not.toBeNull();
    await scrubber.close();
    expect(saved.length).toBeGreaterThan(0);
  });

  test('notes where it is every few seconds, and at the end', async () => {
    const { scrubber, state, saved } = setUp();
    state.images = Array.from({ length: 23 }, (_, index) => String(100 + index));
    scrubber.start();
    await expect.poll(() => scrubber.progress().passEndedAtMs).not.toBeNull();
    await scrubber.close();
    const noted = saved.map(({ after }) => after);
    expect(noted.filter((after) => after !== null && after !== '').length).toBeLessThan(7);
    expect(noted).toContain('114');
    expect(noted.at(-1)).toBeNull();
  });

  test('notes where it was when it is stopped in the middle', async () => {
    const { scrubber, state, saved } = setUp();
    state.images = ['100', '101', '102', '103'];
    let pages = 0;
    const closed = new Promise<void>((resolve) => {
      state.onPage = () => {
        pages += 1;
        if (pages === 3) resolve(scrubber.close());
      };
    });
    scrubber.start();
    await closed;
    expect(pages).toBe(3);
    expect(saved.at(-1)?.after).toBe('102');
  });
});
