import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServiceError } from '../base/service-error.js';
import { loadConfig } from './load-config.js';
import { describeConfig, printConfig } from './print-config.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'oriel-config-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Given {
  readonly toml?: string;
  readonly env?: Record<string, string>;
  readonly flags?: Record<string, string>;
}

function load(given: Given) {
  const file = join(dir, 'oriel.toml');
  if (given.toml !== undefined) writeFileSync(file, given.toml);
  return loadConfig({
    ...(given.toml === undefined ? {} : { file }),
    env: given.env ?? {},
    flags: given.flags ?? {},
    processors: 6,
  });
}

function problemOf(given: Given): string {
  try {
    load(given);
  } catch (error) {
    if (error instanceof ServiceError && error.reason === 'INVALID_ARGUMENT') return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('defaults', () => {
  it('are those of the design', () => {
    const { config } = load({});
    expect(config.node).toEqual({
      dataDir: resolve('data'),
      http: { host: '127.0.0.1', port: 9292 },
      grpc: { host: '127.0.0.1', port: 9293 },
      socketPath: resolve('data/oriel.sock'),
      site: 'default',
      stagingDir: resolve('data/staging'),
      advertise: null,
      locationStrategy: 'local-first',
      stallLimitMs: 20_000,
    });
    expect(config.auth).toEqual({ modes: ['none'], token: { file: resolve('data/tokens') }, keystone: null });
    expect(config.stores).toEqual([
      { name: 'file', type: 'file', isDefault: true, weight: 0, site: 'default', path: resolve('data/images') },
    ]);
    expect(config.limits.imageSizeCapBytes).toBe(1_099_511_627_776);
    expect(config.limits.taskTimeToLiveMs).toBe(172_800_000);
    expect(config.workers.count).toBe(6);
    expect(config.tls).toBeNull();
    expect(Object.isFrozen(config.limits)).toBe(true);
  });
});

describe('sources', () => {
  it('go before each other: file, environment, flags', () => {
    const toml = '[node]\nhttp = "127.0.0.1:1"\ngrpc = "127.0.0.1:1"\nsite = "file"\n';
    const env = { ORIEL_NODE_GRPC: '[::1]:2', ORIEL_NODE_SITE: 'env', HOME: '/root' };
    const { config, sources } = load({ toml, env, flags: { site: 'flag' } });
    expect(config.node.http).toEqual({ host: '127.0.0.1', port: 1 });
    expect(config.node.grpc).toEqual({ host: '::1', port: 2 });
    expect(config.node.site).toBe('flag');
    expect(sources.get('node.http')).toEqual({ kind: 'file', name: join(dir, 'oriel.toml') });
    expect(sources.get('node.grpc')).toEqual({ kind: 'environment', name: 'ORIEL_NODE_GRPC' });
    expect(sources.get('node.site')).toEqual({ kind: 'flag', name: '--site' });
    expect(sources.get('node.data')).toEqual({ kind: 'default', name: '' });
  });

  it('type the texts of the environment', () => {
    const env = {
      ORIEL_IMAGES_SHOW_DIRECT_URL: 'true',
      ORIEL_LIMITS_IMAGE_TAG_QUOTA: '-1',
      ORIEL_LIMITS_IMAGE_SIZE_CAP: '10GiB',
      ORIEL_IMAGES_DISK_FORMATS: 'raw, qcow2',
      ORIEL_AUTH_MODE: 'token',
    };
    const { config } = load({ env });
    expect(config.images.showDirectUrl).toBe(true);
    expect(config.limits.imageTagQuota).toBe(-1);
    expect(config.limits.imageSizeCapBytes).toBe(10 * 2 ** 30);
    expect(config.images.diskFormats).toEqual(['raw', 'qcow2']);
    expect(config.auth.modes).toEqual(['token']);
  });

  it('leave alone the variables of the client and of Kubernetes', () => {
    const env = { ORIEL_NODE: 'unix:x', ORIEL_TOKEN: 't', ORIEL_SERVICE_HOST: '10.0.0.1', ORIEL_PORT_9292_TCP: 'x' };
    expect(() => load({ env })).not.toThrow();
  });
});

describe('mistakes', () => {
  it('name the key, the source and the nearest known key', () => {
    expect(problemOf({ toml: '[node]\nhtpp = "s3cret"\n' })).toMatch(
      /^configuration: \[node\] htpp: unknown key \(file .*oriel\.toml\); the nearest known one is http$/,
    );
    expect(problemOf({ toml: '[stores.fast]\npth = "/x"\n' })).toContain('[stores.fast] pth: unknown key');
    expect(problemOf({ toml: '[nod]\n' })).toContain('[nod]: unknown key');
    expect(problemOf({ env: { ORIEL_NODE_HTPP: 'x' } })).toContain('the nearest known one is ORIEL_NODE_HTTP');
    expect(problemOf({ env: { ORIEL_STORES_FAST_PATH: 'x' } })).toContain(
      'stores come from the configuration file only',
    );
  });

  it('never repeat the value of an unknown key', () => {
    expect(problemOf({ toml: '[auth.keystone]\npassword = "s3cret"\n' })).not.toContain('s3cret');
  });

  it('say what was expected and found', () => {
    expect(problemOf({ env: { ORIEL_LIMITS_IMAGE_TAG_QUOTA: 'many' } })).toBe(
      'configuration: [limits] image_tag_quota: expected a whole number, negative for no limit, found the text "many" ' +
        '(environment ORIEL_LIMITS_IMAGE_TAG_QUOTA)',
    );
    expect(problemOf({ toml: '[log]\nlevel = "loud"\n' })).toContain('expected one of trace, debug, info');
    expect(problemOf({ toml: '[limits]\nimage_size_cap = "10XB"\n' })).toContain('expected a size');
    expect(problemOf({ toml: '[gateway]\ntrusted_proxies = ["10.0.0.0/33"]\n' })).toContain('found "10.0.0.0/33"');
    expect(problemOf({ toml: 'node = 3\n' })).toContain('[node]: expected a table');
    expect(problemOf({ toml: '[node]\nhttp = 2020-01-01\n' })).toContain('found a date');
    expect(problemOf({ toml: '[node\n' })).toMatch(/oriel\.toml, line 1, column \d+: /);
    expect(problemOf({ flags: { http: 'nowhere' } })).toContain('expected HOST:PORT');
    expect(problemOf({ flags: { http: '127.0.0.1:65536' } })).toContain('expected HOST:PORT');
  });

  it('are listed together', () => {
    expect(problemOf({ toml: '[log]\nlevel = 3\n[node]\nsite = 4\n' }).split('\n')).toHaveLength(2);
  });

  it('include a file that is not there', () => {
    expect(() => loadConfig({ file: join(dir, 'none.toml'), env: {}, flags: {}, processors: 1 })).toThrow(/ENOENT/);
  });
});

describe('what belongs together', () => {
  it('keeps mode none on loopback and alone', () => {
    expect(problemOf({ flags: { http: '0.0.0.0:9292' } })).toContain('only a loopback address');
    expect(problemOf({ flags: { grpc: '[::]:9293' } })).toContain('only a loopback address');
    expect(problemOf({ flags: { auth: 'none,token' } })).toContain('cannot be one of several');
    expect(load({ flags: { http: '0.0.0.0:0', auth: 'token' } }).config.node.http.host).toBe('0.0.0.0');
  });

  it('asks for what Keystone needs', () => {
    const problem = problemOf({ flags: { auth: 'keystone,token' } });
    for (const name of ['url', 'username', 'password_file']) expect(problem).toContain(`[auth.keystone] ${name}`);
    const toml = '[auth]\nmode = ["keystone", "token"]\n[auth.keystone]\nurl = "https://ks:5000/"\nusername = "o"\n';
    const { config } = load({ toml: `${toml}password_file = "pw"\ncache_ttl = "1m"\n` });
    expect(config.auth.keystone).toMatchObject({ url: 'https://ks:5000/v3', cacheTtlMs: 60_000, region: null });
    expect(config.auth.keystone?.passwordFile).toBe(resolve('pw'));
  });

  it('takes TLS whole or not at all', () => {
    expect(problemOf({ toml: '[tls]\ncert_file = "a"\n' })).toContain('[tls] key_file');
    expect(problemOf({ toml: '[tls]\nclient_ca_file = "a"\n' })).toContain('client certificates need');
    expect(problemOf({ toml: '[catalog]\nca_file = "a"\n' })).toContain('TLS between nodes needs');
  });

  it('refuses two stores with one folder', () => {
    const toml = '[stores.a]\npath = "x/../same"\ndefault = true\n[stores.b]\npath = "same"\n';
    expect(() => load({ toml })).toThrow(`[stores]: a and b have the same path ${resolve('same')}`);
  });

  it('wants exactly one default store, each with a folder', () => {
    expect(problemOf({ toml: '[stores.a]\npath = "a"\n[stores.b]\npath = "b"\n' })).toContain('none has it');
    expect(problemOf({ toml: '[stores.a]\n' })).toContain('a file store needs its folder');
    expect(problemOf({ toml: '[stores.os_glance_tasks_store]\npath = "a"\n' })).toContain('expected a name');
    expect(problemOf({ toml: '[stores.a]\npath = "a"\nbucket = "b"\n' })).toContain('no such option');
    expect(problemOf({ toml: '[stores.a]\npath = 3\n' })).toContain('[stores.a] path: expected a folder, found 3');
    const { config } = load({ toml: '[stores.a]\npath = "a"\n[stores.b]\npath = "b"\ndefault = true\nweight = 5\n' });
    expect(config.stores.map((store) => [store.name, store.isDefault])).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect(load({ toml: '[stores.a]\npath = "a"\n' }).config.stores[0]?.isDefault).toBe(true);
  });
});

describe('stores of other services', () => {
  const s3 = '[stores.a]\ntype = "s3"\nendpoint = "https://s3.example/"\nbucket = "images"\n';
  const swift = '[stores.a]\ntype = "swift"\nauth_url = "http://ks:5000/v3"\nuser = "images:oriel"\ncontainer = "c"\n';

  it('take their options', () => {
    expect(load({ toml: `${s3}credentials_file = "keys"\n` }).config.stores).toEqual([
      {
        ...{ name: 'a', type: 's3', isDefault: true, weight: 0, site: 'default', endpoint: 'https://s3.example' },
        ...{ bucket: 'images', region: 'us-east-1', credentialsFile: resolve('keys') },
        presignTtlMs: null,
      },
    ]);
    expect(load({ toml: `${swift}key_file = "key"\nauth_version = "1"\n` }).config.stores).toEqual([
      {
        ...{ name: 'a', type: 'swift', isDefault: true, weight: 0, site: 'default', authUrl: 'http://ks:5000/v3' },
        ...{ user: 'images:oriel', keyFile: resolve('key'), container: 'c', authVersion: '1' },
        tempUrl: null,
      },
    ]);
  });

  it('make URLs that expire when they are told to', () => {
    const urls = (toml: string) => load({ toml }).config.stores[0];
    const signed = `${swift}key_file = "key"\ntemp_url_key_file = "url-key"\n`;
    expect(urls(signed)).toMatchObject({ tempUrl: { keyFile: resolve('url-key'), ttlMs: 3_600_000 } });
    expect(urls(`${s3}credentials_file = "keys"\npresign = true\ntemp_url_ttl = "7d"\n`)).toMatchObject({
      presignTtlMs: 604_800_000,
    });
    for (const ttl of ['"8d"', '59', '"0s"'])
      expect(problemOf({ toml: `${signed}temp_url_ttl = ${ttl}\n` })).toContain('temp_url_ttl: expected 1m to 7d');
    expect(problemOf({ toml: '[stores.a]\npath = "a"\ntemp_url_ttl = "1h"\n' })).toContain('no such option');
    expect(problemOf({ toml: '[node]\nstall_limit = "1ms"\n' })).toContain('expected at least 100ms');
  });

  it('need them', () => {
    expect(problemOf({ toml: '[stores.a]\ntype = "s3"\n' }).split('\n')).toHaveLength(3);
    expect(problemOf({ toml: '[stores.a]\ntype = "swift"\n' }).split('\n')).toHaveLength(4);
    expect(problemOf({ toml: s3.replace('images', '../x') })).toContain('bucket: expected');
    expect(problemOf({ toml: swift.replace('images:', '') })).toContain('user: expected project:user');
    expect(problemOf({ toml: `${swift}auth_version = "2"\n` })).toContain('expected 1 or 3');
    expect(problemOf({ toml: `${s3}path = "x"\n` })).toContain('a s3 store has no such option');
  });

  it('refuse credentials in a URL and do not repeat them', () => {
    const problem = problemOf({ toml: s3.replace('https://', 'https://me:s3cret@') });
    expect(problem).toContain('without user');
    expect(problem).not.toContain('s3cret');
  });
});

describe('http stores and the URLs that are fetched', () => {
  const web = '[stores.web]\ntype = "http"\n';
  const file = '[stores.a]\npath = "a"\n';

  it('stand beside a store that can be written, which is the default', () => {
    const { stores } = load({ toml: web + file }).config;
    expect(stores.map(({ name, type, isDefault }) => [name, type, isDefault])).toEqual([
      ['web', 'http', false],
      ['a', 'file', true],
    ]);
    expect(problemOf({ toml: web })).toMatch(/http stores are read-only, expected one of another type$/);
    expect(problemOf({ toml: `${web}default = true\n${file}` })).toContain('cannot be the default');
    expect(problemOf({ toml: `${web}path = "x"\n${file}` })).toContain('a http store has no such option');
    expect(problemOf({ toml: `${web}${file}[stores.b]\npath = "b"\n` })).toContain('in exactly one of a, b; none');
  });

  it('take the rules of [import]', () => {
    const rules = 'allowed_ports = []\nallowed_hosts = ["a.example:8080", "[::1]"]\nallow_private_addresses = true\n';
    expect(load({ toml: `[import]\nallowed_schemes = ["HTTPS"]\n${rules}` }).config.import).toMatchObject({
      ...{ allowedSchemes: ['https'], allowedPorts: [], allowedHosts: ['a.example:8080', '[::1]'] },
      allowPrivateAddresses: true,
    });
    for (const schemes of ['[]', '["http", "file"]'])
      expect(problemOf({ toml: `[import]\nallowed_schemes = ${schemes}\n` })).toContain('expected http, https or both');
    for (const host of ['http://a.example', 'a.example/x', '10.0.0.0/8', '::1', 'a b'])
      expect(problemOf({ toml: `[import]\nallowed_hosts = ["${host}"]\n` })).toContain('expected "host"');
  });
});

describe('options of later releases', () => {
  it('are refused with another value than their default', () => {
    expect(load({ flags: { primary: 'a:1' } }).config.catalog.primary).toBe('a:1');
    expect(problemOf({ toml: '[workers]\nmemory_limit = "2GB"\n' })).toContain('no jobs yet');
    expect(problemOf({ toml: '[import]\nmethods = ["web-download"]\n' })).toContain('no import method yet');
    expect(() => load({ toml: '[workers]\nmemory_limit = "1GiB"\n[catalog]\nprimary = ""\n' })).not.toThrow();
  });
});

describe('printConfig', () => {
  it('is a configuration file that loads to the same, with sources as comments', () => {
    const toml = '[stores.a]\npath = "a"\n[limits]\nimage_tag_quota = 5\n[auth]\nmode = ["token"]\n';
    const first = load({ toml });
    const printed = printConfig(first.settings);
    expect(printed).toMatch(/^image_tag_quota = 5 +# file .*oriel\.toml$/m);
    expect(load({ toml: printed }).config).toEqual(first.config);
    expect(parse(printed)).toMatchObject({ node: { http: '127.0.0.1:9292' } });
  });

  it('hides the user of a URL', () => {
    const settings = new Map([
      [
        'gateway.public_endpoint',
        {
          key: 'gateway.public_endpoint',
          value: 'https://me:pw@example.org/',
          source: { kind: 'default' as const, name: '' },
        },
      ],
    ]);
    expect(JSON.stringify(describeConfig(settings))).not.toContain('pw');
  });
});
