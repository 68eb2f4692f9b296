/** The values that base attributes and collections of an image may take (Images API v2 §3). */
import { ServiceError } from '../base/service-error.js';
import { exceeds, type Limits } from './limits.js';
import { isServiceProperty } from './property.js';
import { checkText } from './text.js';

/** Largest min_disk and min_ram (reference §10). */
const MIN_VALUE_MAX = 2_147_483_647;

/** Checks a format against the configured list. INVALID_ARGUMENT lists what is allowed. */
export function checkFormat(attribute: string, value: string | null, allowed: readonly string[]): string | null {
  if (value !== null && !allowed.includes(value))
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `${attribute} must be one of ${allowed.join(', ')}, got ${JSON.stringify(value)}`,
    );
  return value;
}

/** Checks min_disk (GiB) or min_ram (MiB). */
export function checkMinimum(attribute: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > MIN_VALUE_MAX)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `${attribute} must be a whole number from 0 to ${MIN_VALUE_MAX}, got ${value}`,
    );
  return value;
}

/** Checks tags and returns them sorted, without duplicates. LIMIT_EXCEEDED when there are more than the quota. */
export function normalTags(tags: readonly string[], limits: Limits): readonly string[] {
  for (const tag of tags) checkText('a tag', tag);
  const unique = [...new Set(tags)].sort();
  if (exceeds(unique.length, limits.imageTagQuota))
    throw new ServiceError(
      'LIMIT_EXCEEDED',
      `an image may have at most ${limits.imageTagQuota} tags, this would make ${unique.length}`,
    );
  return unique;
}

/** LIMIT_EXCEEDED when there are more custom properties than the quota; the service's own do not count. */
export function checkPropertyCount(properties: ReadonlyMap<string, string>, limits: Limits): void {
  if (!exceeds(properties.size, limits.imagePropertyQuota)) return;
  const count = [...properties.keys()].filter((name) => !isServiceProperty(name)).length;
  if (exceeds(count, limits.imagePropertyQuota))
    throw new ServiceError(
      'LIMIT_EXCEEDED',
      `an image may have at most ${limits.imagePropertyQuota} properties, this would make ${count}`,
    );
}
