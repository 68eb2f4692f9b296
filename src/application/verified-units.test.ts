import { expect, test } from 'vitest';
import { VerifiedUnits } from './verified-units.js';

test('keeps the flags of the files that were used last, within its bound', () => {
  const verified = new VerifiedUnits();
  const units = 5 * 1024 * 1024;
  const flags = (file: string): Uint8Array => verified.of(file, units);
  flags('a')[7] = 1;
  flags('b')[7] = 1;
  flags('c')[7] = 1;
  expect(flags('a')[7]).toBe(1);
  // Room for three: the one that was not used for the longest goes.
  flags('d')[7] = 1;
  expect(['a', 'c', 'd'].map((file) => flags(file)[7])).toEqual([1, 1, 1]);
  expect(flags('b')[7]).toBe(0);
});

test('a file larger than the bound has flags while it is read', () => {
  const verified = new VerifiedUnits();
  const flags = verified.of('large', 20 * 1024 * 1024);
  flags[3] = 1;
  expect(verified.of('large', 20 * 1024 * 1024)).toBe(flags);
});
