/** The stores of the configuration. */
import { join, resolve } from 'node:path';
import { sourceText } from './collect.js';
import type { FileStoreConfig, Setting } from './config.js';
import { defaultOf, STORE_OPTIONS } from './options.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
/** Which options each type of store has beside `type`, `default`, `weight` and `site`. */
const OWN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  file: ['path'],
  http: [],
  s3: ['endpoint', 'bucket', 'region', 'credentials_file'],
  swift: ['auth_url', 'user', 'key_file', 'container', 'auth_version'],
};
const COMMON_OPTIONS = ['type', 'default', 'weight', 'site'];

interface Context {
  readonly settings: ReadonlyMap<string, Setting>;
  readonly problems: string[];
  readonly site: string;
  readonly dataDir: string;
}

/** Returns the stores; without any `[stores.<name>]`, one file store named `file` under the data folder. */
export function compileStores(context: Context): readonly FileStoreConfig[] {
  const names = storeNames(context.settings);
  if (names.length === 0) {
    const path = join(context.dataDir, 'images');
    return [{ name: 'file', type: 'file', isDefault: true, weight: 0, site: context.site, path }];
  }
  const stores = names.map((name) => compileStore(name, context));
  const defaults = stores.filter((store) => store.isDefault);
  const [only] = stores;
  if (stores.length === 1 && only !== undefined) return [{ ...only, isDefault: true }];
  if (defaults.length !== 1) {
    const found = defaults.length === 0 ? 'none has it' : `${defaults.map((store) => store.name).join(', ')} have it`;
    context.problems.push(`[stores]: expected default = true in exactly one of ${names.join(', ')}; ${found}`);
  }
  return stores;
}

function compileStore(name: string, context: Context): FileStoreConfig {
  const value = (option: string): unknown => {
    const schema = STORE_OPTIONS.get(option);
    return context.settings.get(`stores.${name}.${option}`)?.value ?? (schema && defaultOf(schema));
  };
  const complain = (problem: string): void => {
    context.problems.push(`[stores.${name}] ${problem}`);
  };
  // The Images API reserves these for the service itself (reference §6.13).
  if (!NAME.test(name) || name.startsWith('os_glance')) {
    complain('expected a name of letters, digits, "-" and "_", at most 64, that does not start with os_glance');
  }
  const type = String(value('type'));
  if (type !== 'file') complain(`type: this release has no ${type} stores yet, only file`);
  for (const setting of context.settings.values()) {
    const option = setting.key.startsWith(`stores.${name}.`) ? setting.key.slice(`stores.${name}.`.length) : undefined;
    if (option === undefined || COMMON_OPTIONS.includes(option)) continue;
    if (!(OWN_OPTIONS[type] ?? []).includes(option)) {
      complain(`${option}: a ${type} store has no such option (${sourceText(setting.source)})`);
    }
  }
  const path = value('path');
  if (type === 'file' && (typeof path !== 'string' || path === '')) complain('path: a file store needs its folder');
  const site = value('site');
  return {
    name,
    type: 'file',
    isDefault: value('default') === true,
    weight: Number(value('weight')),
    site: typeof site === 'string' && site !== '' ? site : context.site,
    path: resolve(String(path)),
  };
}

function storeNames(settings: ReadonlyMap<string, Setting>): string[] {
  const names = new Set<string>();
  for (const key of settings.keys()) {
    const match = /^stores\.(.+)\.[^.]+$/.exec(key);
    if (match?.[1] !== undefined) names.add(match[1]);
  }
  return [...names];
}
