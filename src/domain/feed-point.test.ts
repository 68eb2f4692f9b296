import { describe, expect, it } from 'vitest';
import { feedToken, parseFeedToken, placeInFeed } from './feed-point.js';

describe('feed tokens', () => {
  it('are read as they were written', () => {
    const point = { epoch: 12, seq: 3_000_000_017 };
    expect(parseFeedToken(feedToken(point))).toEqual(point);
  });

  it.each(['', '1', '1-', '-1', '1-2-3', '1.2', `1-${'9'.repeat(16)}`, ' 1-2'])('are nothing like %j', (text) => {
    expect(() => parseFeedToken(text)).toThrow(/token/);
  });
});

describe('placeInFeed', () => {
  // Epoch 5 began behind change 10, epoch 7, that of a restore, behind 8; changes 4 to 20 are there.
  const state = { epoch: 7, firstSeq: 4, lastSeq: 20 };
  it.each([
    ['the newest', 7, 20, undefined, 'kept'],
    ['one ahead of the catalog', 7, 21, undefined, 'ahead'],
    ['one of an epoch to come', 8, 1, undefined, 'ahead'],
    ['the last before those that are kept', 7, 3, undefined, 'kept'],
    ['an older one', 7, 2, undefined, 'gone'],
    ['the last that the restore kept', 5, 8, 8, 'kept'],
    ['one that the restore took away', 5, 9, 8, 'gone'],
  ] as const)('of %s', (_what, epoch, seq, lastBefore, expected) => {
    expect(placeInFeed({ epoch, seq }, state, lastBefore)).toBe(expected);
  });

  it('is at the beginning of an empty feed', () => {
    expect(placeInFeed({ epoch: 1, seq: 0 }, { epoch: 1, firstSeq: 1, lastSeq: 0 }, undefined)).toBe('kept');
  });
});
