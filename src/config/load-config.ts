/** Loads the configuration: collects the settings, checks them, and makes the one typed object of them. */
import { readFileSync } from 'node:fs';
import { Value } from '@sinclair/typebox/value';
import { ServiceError } from '../base/service-error.js';
import { notYetProblem, typeProblem } from './check.js';
import { type Collection, collectDefaults, collectEnvironment, collectFile, collectFlags } from './collect.js';
import type { Config, Setting, Source } from './config.js';
import { compile } from './compile.js';
import { compileStores } from './compile-stores.js';
import { OPTIONS, STORE_OPTIONS } from './options.js';
import { OptionsSchema } from './schema.js';

export interface ConfigInput {
  /** The TOML file (`--config`). */
  readonly file?: string | undefined;
  /** `process.env`, handed in by the program's entry. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The flags given, by their attribute names (`SERVE_FLAGS`). */
  readonly flags: Readonly<Record<string, string | undefined>>;
  /** Processors, for `workers.count = 0`. */
  readonly processors: number;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Every setting in force, by key, with its source. */
  readonly settings: ReadonlyMap<string, Setting>;
  readonly sources: ReadonlyMap<string, Source>;
}

/**
 * Loads the configuration. Relative paths are relative to the working folder. INVALID_ARGUMENT lists everything that is
 * wrong, one problem a line, each with its key, source and what was expected.
 */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const collection = collectDefaults();
  if (input.file !== undefined) collectFile(collection, input.file, readFile(input.file));
  collectEnvironment(collection, input.env);
  collectFlags(collection, input.flags);
  const { settings, problems } = collection;
  for (const setting of settings.values()) {
    const schema = schemaOf(setting.key);
    const problem = typeProblem(setting, schema) ?? notYetProblem(setting, schema);
    if (problem !== undefined) problems.push(problem);
  }
  stopOn(problems);
  const raw = nest(collection);
  if (!Value.Check(OptionsSchema, raw)) throw new Error('the checked settings do not make up the schema');
  const config = compile(raw, { settings, problems, processors: input.processors });
  const stores = compileStores({ settings, problems, site: config.node.site, dataDir: config.node.dataDir });
  stopOn(problems);
  const sources = new Map([...settings].map(([key, setting]) => [key, setting.source]));
  return { config: deepFreeze({ ...config, stores }), settings, sources };
}

function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new ServiceError('INVALID_ARGUMENT', `configuration file ${file}: cannot be read (${code})`, { cause });
  }
}

function schemaOf(key: string) {
  const match = /^stores\.(.+)\.([^.]+)$/.exec(key);
  const schema = match === null ? OPTIONS.get(key) : STORE_OPTIONS.get(match[2] ?? '');
  if (schema === undefined) throw new Error(`no option ${key}`);
  return schema;
}

function stopOn(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new ServiceError('INVALID_ARGUMENT', `configuration: ${problems.join('\n  ')}`);
}

/** Makes tables of the keys: `node.http` becomes `{ node: { http } }`. Stores stay out. */
function nest(collection: Collection): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  const tables = new Map<string, Record<string, unknown>>([['', root]]);
  const tableOf = (path: string): Record<string, unknown> => {
    const known = tables.get(path);
    if (known !== undefined) return known;
    const dot = path.lastIndexOf('.');
    const table: Record<string, unknown> = {};
    tableOf(dot < 0 ? '' : path.slice(0, dot))[path.slice(dot + 1)] = table;
    tables.set(path, table);
    return table;
  };
  for (const [key, setting] of collection.settings) {
    if (!OPTIONS.has(key)) continue;
    const dot = key.lastIndexOf('.');
    tableOf(key.slice(0, dot))[key.slice(dot + 1)] = setting.value;
  }
  return root;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
