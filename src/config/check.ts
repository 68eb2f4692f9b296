/** Checks the type of every setting against its schema, and refuses options that this release does not act on. */
import type { TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { keyText, sourceText } from './collect.js';
import type { Setting } from './config.js';
import { defaultOf } from './options.js';
import { redact } from './redact.js';
import { parseDurationMs, parseSize } from './units.js';

/** Returns what is wrong with the setting, or undefined. */
export function typeProblem(setting: Setting, schema: TSchema): string | undefined {
  if (fits(setting.value, schema)) return undefined;
  const expected = schema.title ?? 'another value';
  return `${keyText(setting.key)}: expected ${expected}, found ${found(setting.value)} (${sourceText(setting.source)})`;
}

function fits(value: unknown, schema: TSchema): boolean {
  if (!Value.Check(schema, value)) return false;
  if (typeof value !== 'string' && typeof value !== 'number') return true;
  const format: unknown = schema['format'];
  if (format === 'size') return parseSize(value) !== undefined;
  if (format === 'duration') return parseDurationMs(value) !== undefined;
  return true;
}

function found(value: unknown): string {
  if (typeof value === 'string') return `the text ${JSON.stringify(redact(value))}`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return value instanceof Date ? 'a date' : 'a table';
}

/**
 * Options whose part of the program is not in this release. Their defaults are harmless; another value would promise
 * what does not happen. A pattern ends in `.` to name a whole table. Entries go when the part arrives.
 */
const NOT_YET: readonly (readonly [prefix: string, why: string])[] = [
  ['node.staging', 'no import method yet'],
  ['auth.keystone.region', 'no use for the region yet'],
  ['import.methods', 'no import method yet'],
  ['limits.user_storage_quota', 'no storage quota yet'],
  ['limits.use_keystone_limits', 'no unified limits yet'],
  ['limits.task_time_to_live', 'no tasks yet'],
  ['limits.max_parallel_stores', 'no import method yet'],
  ['images.property_protection_file', 'no property protection yet'],
  ['images.property_protection_rule_format', 'no property protection yet'],
  ['images.policy_file', 'no policy overrides yet'],
  ['incremental.', 'no incremental images yet'],
  ['workers.kinds', 'no jobs yet'],
  ['workers.memory_limit', 'no jobs yet'],
];

/** Returns why the setting cannot be honoured by this release, or undefined. */
export function notYetProblem(setting: Setting, schema: TSchema): string | undefined {
  const entry = NOT_YET.find(
    ([prefix]) => setting.key === prefix || (prefix.endsWith('.') && setting.key.startsWith(prefix)),
  );
  if (entry === undefined || Value.Equal(setting.value, defaultOf(schema))) return undefined;
  return `${keyText(setting.key)}: this release has ${entry[1]}; leave the option out (${sourceText(setting.source)})`;
}
