/** Gathers the settings: defaults, then the file, then the environment, then the flags; the later one holds. */
import { type TObject, type TSchema, TypeGuard } from '@sinclair/typebox';
import { parse, TomlError } from 'smol-toml';
import type { Setting, Source } from './config.js';
import { SERVE_FLAGS } from './flags.js';
import { nearest } from './nearest.js';
import { defaultOf, OPTIONS, variableOf } from './options.js';
import { fromText } from './option.js';
import { OptionsSchema, StoreSchema } from './schema.js';

/** The settings found so far, by key, and what is wrong with them. */
export interface Collection {
  readonly settings: Map<string, Setting>;
  readonly problems: string[];
}

type Table = Readonly<Record<string, unknown>>;

/** Starts a collection with the default of every option. */
export function collectDefaults(): Collection {
  const settings = new Map<string, Setting>();
  for (const [key, schema] of OPTIONS) {
    settings.set(key, { key, value: defaultOf(schema), source: { kind: 'default', name: '' } });
  }
  return { settings, problems: [] };
}

/** Adds what a TOML text says. */
export function collectFile(collection: Collection, file: string, content: string): void {
  const source: Source = { kind: 'file', name: file };
  let table: Table;
  try {
    table = parse(content);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split('\n', 1)[0] ?? '';
    collection.problems.push(`${file}, line ${error.line}, column ${error.column}: ${reason}`);
    return;
  }
  const { stores, ...rest } = table;
  walk(collection, rest, OptionsSchema, { path: '', source });
  if (stores === undefined) return;
  if (!isTable(stores)) {
    collection.problems.push(`[stores]: expected one table a store, such as [stores.fast] (file ${file})`);
    return;
  }
  for (const [name, store] of Object.entries(stores)) {
    const path = `stores.${name}`;
    if (isTable(store)) {
      // So that an empty table counts as a store, too.
      const key = `${path}.type`;
      collection.settings.set(key, { key, value: 'file', source: { kind: 'default', name: '' } });
      walk(collection, store, StoreSchema, { path: `${path}.`, source });
    } else collection.problems.push(`[stores] ${name}: expected a table [${path}] (file ${file})`);
  }
}

/** Adds the `ORIEL_…` variables. */
export function collectEnvironment(collection: Collection, env: Readonly<Record<string, string | undefined>>): void {
  const known = new Map([...OPTIONS.keys()].map((key) => [variableOf(key), key]));
  for (const [name, given] of Object.entries(env)) {
    if (given === undefined || !name.startsWith('ORIEL_') || isForeign(name)) continue;
    const key = known.get(name);
    if (key === undefined) {
      const near = nearest(name, known.keys());
      const why = name.startsWith('ORIEL_STORES_') ? '; stores come from the configuration file only' : hint(near);
      collection.problems.push(`environment variable ${name}: no option has this name${why}`);
      continue;
    }
    collectText(collection, key, given, { kind: 'environment', name });
  }
}

/** Adds the flags of `oriel serve`, by their attribute names; undefined ones were not given. */
export function collectFlags(collection: Collection, flags: Readonly<Record<string, string | undefined>>): void {
  for (const flag of SERVE_FLAGS) {
    const given = flags[flag.attribute];
    if (given === undefined) continue;
    const name = flag.declaration.split(' ', 1)[0] ?? '';
    collectText(collection, flag.key, given, { kind: 'flag', name });
  }
}

/** Says where a setting came from: `file oriel.toml`, `environment ORIEL_NODE_HTTP`, `flag --http`, `default`. */
export function sourceText(source: Source): string {
  return source.kind === 'default' ? 'default' : `${source.kind} ${source.name}`;
}

/**
 * Variables that share our prefix and are not options: those of the command line's client, and those that Kubernetes
 * sets in every pod beside a Service named "oriel" ("Environment variables" of its Service documentation).
 */
function isForeign(name: string): boolean {
  return /^ORIEL_(NODE|TOKEN|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)$/.test(name);
}

function collectText(collection: Collection, key: string, given: string, source: Source): void {
  const schema = OPTIONS.get(key);
  if (schema === undefined) throw new Error(`no option ${key}`);
  collection.settings.set(key, { key, value: fromText(schema, given), source });
}

function walk(
  collection: Collection,
  table: Table,
  schema: TObject,
  where: { readonly path: string; readonly source: Source },
): void {
  for (const [name, value] of Object.entries(table)) {
    const key = `${where.path}${name}`;
    const child: TSchema | undefined = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (child === undefined) {
      // The value is not repeated: it may be a secret under a wrong name.
      const near = nearest(name, Object.keys(schema.properties));
      collection.problems.push(`${keyText(key)}: unknown key (${sourceText(where.source)})${hint(near)}`);
    } else if (!TypeGuard.IsObject(child)) {
      collection.settings.set(key, { key, value, source: where.source });
    } else if (isTable(value)) {
      walk(collection, value, child, { ...where, path: `${key}.` });
    } else {
      collection.problems.push(`[${key}]: expected a table (${sourceText(where.source)})`);
    }
  }
}

/** Writes `auth.keystone.url` as `[auth.keystone] url`. */
export function keyText(key: string): string {
  const dot = key.lastIndexOf('.');
  return dot < 0 ? `[${key}]` : `[${key.slice(0, dot)}] ${key.slice(dot + 1)}`;
}

function hint(near: string | undefined): string {
  return near === undefined ? '' : `; the nearest known one is ${near}`;
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
