/** The stores of the configuration. */
import { join, resolve } from 'node:path';
import { sourceText } from './collect.js';
import type { S3StoreConfig, Setting, StoreConfig, SwiftStoreConfig } from './config.js';
import { defaultOf, STORE_OPTIONS } from './options.js';
import { parseDurationMs } from './units.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** Which options each type of store has beside `type`, `default`, `weight` and `site`. */
const OWN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  file: ['path'],
  http: [],
  s3: ['endpoint', 'bucket', 'region', 'credentials_file', 'presign', 'temp_url_ttl'],
  swift: ['auth_url', 'user', 'key_file', 'container', 'auth_version', 'temp_url_key_file', 'temp_url_ttl'],
};
const COMMON_OPTIONS = ['type', 'default', 'weight', 'site'];

interface Context {
  readonly settings: ReadonlyMap<string, Setting>;
  readonly problems: string[];
  readonly site: string;
  readonly dataDir: string;
}

/** Returns the stores; without any `[stores.<name>]`, one file store named `file` under the data folder. */
export function compileStores(context: Context): readonly StoreConfig[] {
  const names = storeNames(context.settings);
  if (names.length === 0) {
    const path = join(context.dataDir, 'images');
    return [{ name: 'file', type: 'file', isDefault: true, weight: 0, site: context.site, path }];
  }
  const stores = names.map((name) => compileStore(name, context));
  complainOfSamePaths(stores, context.problems);
  const writable = stores.filter((store) => store.type !== 'http');
  const defaults = writable.filter((store) => store.isDefault);
  const [only] = writable;
  if (only === undefined) context.problems.push('[stores]: http stores are read-only, expected one of another type');
  if (writable.length <= 1)
    return stores.map((store) => (store.type === 'http' ? store : { ...store, isDefault: true }));
  if (defaults.length !== 1) {
    const found = defaults.length === 0 ? 'none has it' : `${defaults.map((store) => store.name).join(', ')} have it`;
    const wanted = writable.map((store) => store.name).join(', ');
    context.problems.push(`[stores]: expected default = true in exactly one of ${wanted}; ${found}`);
  }
  return stores;
}

/** Two copies of an image in one folder would be two names of one disk's trouble. */
function complainOfSamePaths(stores: readonly StoreConfig[], problems: string[]): void {
  const names = new Map<string, string>();
  for (const store of stores) {
    if (store.type !== 'file') continue;
    const path = resolve(store.path);
    const other = names.get(path);
    if (other !== undefined) problems.push(`[stores]: ${other} and ${store.name} have the same path ${path}`);
    names.set(path, store.name);
  }
}

function compileStore(name: string, context: Context): StoreConfig {
  const table = tableOf(name, context);
  // The Images API reserves these for the service itself (reference §6.13).
  if (!NAME.test(name) || name.startsWith('os_glance')) {
    table.complain('expected a name of letters, digits, "-" and "_", at most 64, that does not start with os_glance');
  }
  const type = table.text('type');
  for (const setting of context.settings.values()) {
    const option = setting.key.startsWith(`stores.${name}.`) ? setting.key.slice(`stores.${name}.`.length) : undefined;
    if (option === undefined || COMMON_OPTIONS.includes(option)) continue;
    if (!(OWN_OPTIONS[type] ?? []).includes(option)) {
      table.complain(`${option}: a ${type} store has no such option (${sourceText(setting.source)})`);
    }
  }
  const common = {
    name,
    isDefault: table.value('default') === true,
    weight: Number(table.value('weight')),
    site: table.text('site') === '' ? context.site : table.text('site'),
  };
  if (type === 's3') return { ...common, ...compileS3(table) };
  if (type === 'swift') return { ...common, ...compileSwift(table) };
  if (type === 'http') {
    if (common.isDefault) table.complain('default: a http store is read-only and cannot be the default');
    return { ...common, type: 'http', isDefault: false };
  }
  if (table.text('path') === '') table.complain('path: a file store needs its folder');
  return { ...common, type: 'file', path: resolve(table.text('path')) };
}

function compileS3(table: Table): Omit<S3StoreConfig, 'name' | 'isDefault' | 'weight' | 'site'> {
  const bucket = table.needed('bucket', 'an s3 store needs its bucket');
  // Amazon S3, "General purpose bucket naming rules"; upper case and "_" for older buckets.
  if (bucket !== '' && !/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) {
    table.complain('bucket: expected letters, digits, ".", "-" and "_", at least 3 and at most 255');
  }
  return {
    type: 's3',
    endpoint: webUrl(table, 'endpoint', 'an s3 store needs the URL of its service'),
    bucket,
    region: table.text('region') === '' ? 'us-east-1' : table.text('region'),
    credentialsFile: resolve(table.needed('credentials_file', 'an s3 store needs the file with its access key')),
    presignTtlMs: table.value('presign') === true ? tempUrlTtlMs(table) : null,
  };
}

function compileSwift(table: Table): Omit<SwiftStoreConfig, 'name' | 'isDefault' | 'weight' | 'site'> {
  const version = table.text('auth_version');
  if (version === '2') table.complain('auth_version: expected 1 or 3; version 2 of the Identity API is no more');
  const user = table.needed('user', 'a swift store needs its user');
  if (user !== '' && !/^[^:]+:.+$/.test(user)) {
    table.complain('user: expected project:user, or account:user with auth_version 1');
  }
  const keyFile = table.text('temp_url_key_file');
  const container = table.needed('container', 'a swift store needs its container');
  // Segments lie in a container of the same name with "_segments" behind; Swift takes 256 bytes of name at most.
  if (container !== '' && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,239}$/.test(container)) {
    table.complain('container: expected letters, digits, ".", "-" and "_", at most 240');
  }
  return {
    type: 'swift',
    authUrl: webUrl(table, 'auth_url', 'a swift store needs the URL of its Identity service'),
    user,
    keyFile: resolve(table.needed('key_file', 'a swift store needs the file with the key of its user')),
    container,
    authVersion: version === '1' ? '1' : '3',
    tempUrl: keyFile === '' ? null : { keyFile: resolve(keyFile), ttlMs: tempUrlTtlMs(table) },
  };
}

// Amazon S3, "Sharing objects with presigned URLs": at most seven days.
function tempUrlTtlMs(table: Table): number {
  const given = table.value('temp_url_ttl');
  const ttlMs = typeof given === 'string' || typeof given === 'number' ? parseDurationMs(given) : undefined;
  if (ttlMs !== undefined && ttlMs >= 60_000 && ttlMs <= 604_800_000) return ttlMs;
  table.complain('temp_url_ttl: expected 1m to 7d');
  return 60_000;
}

/** The options of one store. */
interface Table {
  value(option: string): unknown;
  text(option: string): string;
  /** The text of an option that must be set. */
  needed(option: string, why: string): string;
  complain(problem: string): void;
}

function tableOf(name: string, { settings, problems }: Context): Table {
  const value = (option: string): unknown => {
    const schema = STORE_OPTIONS.get(option);
    return settings.get(`stores.${name}.${option}`)?.value ?? (schema && defaultOf(schema));
  };
  const text = (option: string): string => {
    const found = value(option);
    return typeof found === 'string' ? found : '';
  };
  const complain = (problem: string): void => {
    problems.push(`[stores.${name}] ${problem}`);
  };
  const needed = (option: string, why: string): string => {
    const found = text(option);
    if (found === '') complain(`${option}: ${why}`);
    return found;
  };
  return { value, text, needed, complain };
}

// The value is not repeated: a user and a password in it must not get into messages.
function webUrl(table: Table, option: string, why: string): string {
  const given = table.needed(option, why);
  if (given === '') return '';
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const plain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === undefined || !plain || !['http:', 'https:'].includes(url.protocol)) {
    table.complain(`${option}: expected an http or https URL without user, query and fragment`);
  }
  return given.replace(/\/+$/, '');
}

function storeNames(settings: ReadonlyMap<string, Setting>): string[] {
  const names = new Set<string>();
  for (const key of settings.keys()) {
    const match = /^stores\.(.+)\.[^.]+$/.exec(key);
    if (match?.[1] !== undefined) names.add(match[1]);
  }
  return [...names];
}
