/** The configuration in force, for people and for programs. */
import { sourceText } from './collect.js';
import type { Setting } from './config.js';
import { redact } from './redact.js';

/** One option for `oriel config --json`. */
export interface PrintedSetting {
  readonly key: string;
  readonly value: unknown;
  readonly source: string;
}

/** Returns the settings with secrets hidden, in the order of the schema. */
export function describeConfig(settings: ReadonlyMap<string, Setting>): readonly PrintedSetting[] {
  return [...settings.values()].map((setting) => ({
    key: setting.key,
    value: hide(setting.value),
    source: sourceText(setting.source),
  }));
}

/** Returns the settings as a TOML file whose comments name the sources, with secrets hidden. */
export function printConfig(settings: ReadonlyMap<string, Setting>): string {
  const lines: string[] = [];
  let section = '';
  for (const { key, value, source } of describeConfig(settings)) {
    const dot = key.lastIndexOf('.');
    const table = key.slice(0, dot);
    if (table !== section) lines.push(...(section === '' ? [] : ['']), `[${table}]`);
    section = table;
    // JSON's texts, numbers, booleans and flat lists are TOML's.
    lines.push(`${`${key.slice(dot + 1)} = ${JSON.stringify(value)}`.padEnd(48)} # ${source}`);
  }
  return `${lines.join('\n')}\n`;
}

function hide(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  return Array.isArray(value) ? value.map(hide) : value;
}
