import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDurationMs, parseSize } from './units.js';

describe('parseSize', () => {
  it.each([
    [0, 0],
    ['512', 512],
    ['512 B', 512],
    ['10KB', 10_000],
    ['10KiB', 10_240],
    ['1GB', 1_000_000_000],
    ['1.5 GiB', 1_610_612_736],
    ['1tib', 1_099_511_627_776],
  ])('reads %j as %d bytes', (given, bytes) => expect(parseSize(given)).toBe(bytes));

  it.each(['', 'GB', '-1', '1 XB', '1e3', '1.5', '0.3B', '99999999TB', '1 GB 2', '١', 'NaN'])('refuses %j', (given) =>
    expect(parseSize(given)).toBeUndefined(),
  );

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %d', (given) =>
    expect(parseSize(given)).toBeUndefined(),
  );

  it('reads every whole number of a unit as its product', () => {
    const factors = { KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
    const unit = fc.constantFrom(...(Object.keys(factors) as (keyof typeof factors)[]));
    fc.assert(
      fc.property(fc.nat(8000), unit, (count, name) => {
        expect(parseSize(`${count}${name}`)).toBe(count * factors[name]);
      }),
    );
  });
});

describe('parseDurationMs', () => {
  it.each([
    [30, 30_000],
    [0.5, 500],
    ['30', 30_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ])('reads %j as %d ms', (given, ms) => expect(parseDurationMs(given)).toBe(ms));

  it.each(['', 's', '-5s', '5 weeks', '5M', '0.0001s'])('refuses %j', (given) =>
    expect(parseDurationMs(given)).toBeUndefined(),
  );
});
