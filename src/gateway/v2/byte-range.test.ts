import { describe, expect, it } from 'vitest';
import { failedWith } from '../../base/service-error.js';
import { parseRange, parseRequestContentRange } from './byte-range.js';

function reason(run: () => unknown, expected: 'RANGE_INVALID' | 'INVALID_ARGUMENT'): boolean {
  try {
    run();
    return false;
  } catch (error) {
    return failedWith(error, expected);
  }
}

describe('Range', () => {
  it.each([
    ['bytes=0-4', { kind: 'from', firstByte: 0, lastByte: 4 }],
    ['bytes=5-', { kind: 'from', firstByte: 5, lastByte: null }],
    ['bytes=-3', { kind: 'suffix', lengthBytes: 3 }],
    ['Bytes = 1-1 ', { kind: 'from', firstByte: 1, lastByte: 1 }],
    ['bytes=0-99999999999999999999', { kind: 'from', firstByte: 0, lastByte: Number.MAX_SAFE_INTEGER }],
  ])('reads %s', (header, range) => {
    expect(parseRange(header)).toEqual(range);
  });

  it.each(['', 'bytes', 'bytes=', 'bytes=-', 'bytes=x-y', 'bytes=4-3', 'bytes=-0', 'lines=1-2', 'bytes=1-2-3', '0-4'])(
    'answers 416 to "%s"',
    (header) => {
      expect(reason(() => parseRange(header), 'RANGE_INVALID')).toBe(true);
    },
  );

  it('answers 400 to several ranges', () => {
    expect(reason(() => parseRange('bytes=0-1,3-4'), 'INVALID_ARGUMENT')).toBe(true);
  });
});

describe('Content-Range of a request', () => {
  it.each(['bytes 0-4/10', 'bytes 0-4/*'])('reads %s', (header) => {
    expect(parseRequestContentRange(header, 10)).toEqual({ kind: 'from', firstByte: 0, lastByte: 4 });
  });

  it.each(['bytes 0-10/10', 'bytes 0-10/*', 'bytes 4-3/10', 'bytes 0-4/11', 'bytes 0-4', 'x', 'bytes 10-10/*'])(
    'answers 416 to "%s"',
    (header) => {
      expect(reason(() => parseRequestContentRange(header, 10), 'RANGE_INVALID')).toBe(true);
    },
  );

  it('answers 400 to a range of nothing', () => {
    expect(reason(() => parseRequestContentRange('bytes */10', 10), 'INVALID_ARGUMENT')).toBe(true);
  });
});
