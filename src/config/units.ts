/**
 * Sizes and durations as people write them. KB, MB, GB and TB are powers of 1000 and KiB, MiB, GiB and TiB powers of 1024
 * (IEC 80000-13). Glance counts KB as 1024 in `user_storage_quota`; one meaning a word was preferred over that
 * (docs/configuration.md, "Sizes").
 */
const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['KB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['TB', 1000 ** 4],
  ['KIB', 1024],
  ['MIB', 1024 ** 2],
  ['GIB', 1024 ** 3],
  ['TIB', 1024 ** 4],
]);

const DURATION_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['', 1000],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const QUANTITY = /^(\d{1,16}(?:\.\d{1,6})?)\s*([A-Za-z]*)$/;

/** Returns the bytes of `10`, `"512"`, `"1.5 GiB"` or `"1GB"`; undefined when the value is no size or over 2^53 bytes. */
export function parseSize(value: string | number): number | undefined {
  return quantity(value, (unit) => SIZE_UNITS.get(unit.toUpperCase()));
}

/** Returns the milliseconds of `30` (seconds), `"500ms"`, `"1.5h"` or `"7d"`; undefined when the value is no duration. */
export function parseDurationMs(value: string | number): number | undefined {
  // A number of seconds takes the way of its text, so that 0.5 and "0.5" are the same.
  return quantity(typeof value === 'number' ? String(value) : value, (unit) => DURATION_UNITS_MS.get(unit));
}

function quantity(value: string | number, factorOf: (unit: string) => number | undefined): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  const match = QUANTITY.exec(value.trim());
  const factor = factorOf(match?.[2] ?? '');
  if (match === null || factor === undefined) return undefined;
  const product = Number(match[1]) * factor;
  const whole = Math.round(product);
  // "0.3 B" would be a rounded guess; a fraction that is not whole bytes or milliseconds is a slip.
  if (!Number.isSafeInteger(whole) || Math.abs(product - whole) > 1e-6 * Math.max(1, product)) return undefined;
  return whole;
}
