/** Turns checked options into the typed configuration, and finds what single options cannot show. */
import { getHashes } from 'node:crypto';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { keyText, sourceText } from './collect.js';
import type { AuthConfig, Config, HostPort, KeystoneConfig, Setting, TlsConfig } from './config.js';
import type { RawOptions } from './schema.js';
import { parseDurationMs, parseSize } from './units.js';

interface Context {
  readonly settings: ReadonlyMap<string, Setting>;
  readonly problems: string[];
  readonly processors: number;
}

/** Returns the configuration without stores; adds to `problems` what is wrong. */
export function compile(raw: RawOptions, context: Context): Omit<Config, 'stores'> {
  const dataDir = resolve(raw.node.data);
  const node = {
    dataDir,
    http: hostPort(raw.node.http, 'node.http', context),
    grpc: hostPort(raw.node.grpc, 'node.grpc', context),
    socketPath: pathOr(raw.node.socket, join(dataDir, 'oriel.sock')),
    site: raw.node.site,
    advertise: orNull(raw.node.advertise),
    stagingDir: pathOr(raw.node.staging, join(dataDir, 'staging')),
    locationStrategy: raw.node.location_strategy,
    stallLimitMs: durationMs(raw.node.stall_limit),
  };
  if (node.stallLimitMs < 100) complain(context, 'node.stall_limit', 'expected at least 100ms');
  const auth = compileAuth(raw, dataDir, context);
  if (raw.catalog.ca_file !== '' && raw.tls.cert_file === '') {
    complain(context, 'catalog.ca_file', 'TLS between nodes needs [tls] cert_file and key_file as well');
  }
  if (!/^[A-Za-z0-9._:-]*$/.test(raw.node.advertise) || /^[^:]+:\d+$/.test(raw.node.advertise)) {
    complain(context, 'node.advertise', 'expected a host name or an address, without a port');
  }
  if (raw.node.data === '') complain(context, 'node.data', 'expected a folder, found an empty text');
  if (raw.node.site === '') complain(context, 'node.site', 'expected a name, found an empty text');
  if (auth.modes.includes('none')) {
    // DESIGN §8: everyone is an administrator in this mode.
    if (!isLoopback(node.http.host)) complain(context, 'node.http', OPEN_TO_ALL);
    if (!isLoopback(node.grpc.host)) complain(context, 'node.grpc', OPEN_TO_ALL);
  }
  return {
    node,
    log: { level: raw.log.level },
    tls: compileTls(raw.tls, context),
    auth,
    catalog: {
      primary: orNull(raw.catalog.primary),
      clusterKeyFile: pathOrNull(raw.catalog.cluster_key_file),
      syncUrl: raw.catalog.sync_url === '' ? null : webUrl(raw.catalog.sync_url, 'catalog.sync_url', context),
      caFile: pathOrNull(raw.catalog.ca_file),
      syncIntervalMs: durationMs(raw.catalog.sync_interval),
      maxStalenessMs: durationMs(raw.catalog.max_staleness),
      durability: raw.catalog.durability,
    },
    import: compileImport(raw.import, context),
    limits: compileLimits(raw.limits, context),
    images: compileImages(raw.images, context),
    incremental: {
      parentFrom: raw.incremental.parent_from,
      maxDepth: raw.incremental.max_depth,
      onParentDelete: raw.incremental.on_parent_delete,
    },
    workers: {
      count: raw.workers.count === 0 ? Math.max(1, context.processors) : raw.workers.count,
      kinds: raw.workers.kinds,
      memoryLimitBytes: sizeBytes(raw.workers.memory_limit),
    },
    scrub: compileScrub(raw.scrub, context),
    cache: { enabled: raw.cache.enabled, sizeBytes: sizeBytes(raw.cache.size) },
    materialize: { roots: raw.materialize.roots.map((root) => materializeRoot(root, context)) },
    gateway: compileGateway(raw.gateway, context),
  };
}

const OPEN_TO_ALL =
  'authentication mode "none" makes everyone an administrator, so only a loopback address such as 127.0.0.1 is taken; ' +
  'set [auth] mode to token or keystone to listen elsewhere';

function compileAuth(raw: RawOptions, dataDir: string, context: Context): AuthConfig {
  const { mode, token, keystone } = raw.auth;
  const modes = typeof mode === 'string' ? [mode] : mode;
  if (modes.includes('none') && modes.length > 1) {
    complain(context, 'auth.mode', 'mode "none" takes every caller as an administrator and cannot be one of several');
  }
  return {
    modes,
    token: { file: pathOr(token.file, join(dataDir, 'tokens')) },
    keystone: modes.includes('keystone') ? compileKeystone(keystone, context) : null,
  };
}

function compileKeystone(raw: RawOptions['auth']['keystone'], context: Context): KeystoneConfig {
  for (const name of ['url', 'username', 'password_file', 'project'] as const) {
    if (raw[name] === '') complain(context, `auth.keystone.${name}`, 'needed by authentication mode "keystone"');
  }
  const base = raw.url === '' ? '' : webUrl(raw.url, 'auth.keystone.url', context);
  return {
    url: base.endsWith('/v3') ? base : `${base}/v3`,
    username: raw.username,
    passwordFile: resolve(raw.password_file),
    project: raw.project,
    userDomain: raw.user_domain,
    projectDomain: raw.project_domain,
    region: orNull(raw.region),
    caFile: pathOrNull(raw.ca_file),
    cacheTtlMs: durationMs(raw.cache_ttl),
    outageTtlMs: durationMs(raw.outage_ttl),
  };
}

function compileTls(raw: RawOptions['tls'], context: Context): TlsConfig | null {
  if ((raw.cert_file === '') !== (raw.key_file === '')) {
    complain(context, raw.cert_file === '' ? 'tls.cert_file' : 'tls.key_file', 'needed: TLS takes both files or none');
  }
  if (raw.client_ca_file !== '' && raw.cert_file === '') {
    complain(context, 'tls.client_ca_file', 'client certificates need cert_file and key_file');
  }
  if (raw.cert_file === '') return null;
  return {
    certFile: resolve(raw.cert_file),
    keyFile: resolve(raw.key_file),
    clientCaFile: pathOrNull(raw.client_ca_file),
  };
}

function compileImport(raw: RawOptions['import'], context: Context): Config['import'] {
  const schemes = raw.allowed_schemes.map((scheme) => scheme.toLowerCase());
  if (schemes.length === 0 || !schemes.every((scheme) => ['http', 'https'].includes(scheme))) {
    complain(context, 'import.allowed_schemes', 'expected http, https or both');
  }
  for (const host of raw.allowed_hosts) {
    if (/^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/.test(host)) continue;
    const expected = 'expected "host" or "host:port", such as mirror.example:8080 or [2001:db8::1]';
    complain(context, 'import.allowed_hosts', `${expected}, found ${JSON.stringify(host)}`);
  }
  return {
    methods: raw.methods,
    allowedSchemes: schemes,
    allowedPorts: raw.allowed_ports,
    allowedHosts: raw.allowed_hosts,
    allowPrivateAddresses: raw.allow_private_addresses,
  };
}

function compileLimits(raw: RawOptions['limits'], context: Context): Config['limits'] {
  if (raw.limit_param_default > raw.api_limit_max) {
    complain(context, 'limits.limit_param_default', `expected at most api_limit_max, which is ${raw.api_limit_max}`);
  }
  return {
    limitParamDefault: raw.limit_param_default,
    apiLimitMax: raw.api_limit_max,
    imagePropertyQuota: raw.image_property_quota,
    imageTagQuota: raw.image_tag_quota,
    imageMemberQuota: raw.image_member_quota,
    imageLocationQuota: raw.image_location_quota,
    imageSizeCapBytes: sizeBytes(raw.image_size_cap),
    userStorageQuotaBytes: sizeBytes(raw.user_storage_quota),
    useKeystoneLimits: raw.use_keystone_limits,
    maxHeaderLineBytes: sizeBytes(raw.max_header_line),
    maxRequestIdLength: raw.max_request_id_length,
    taskTimeToLiveMs: durationMs(raw.task_time_to_live),
    maxParallelStores: raw.max_parallel_stores,
  };
}

function compileImages(raw: RawOptions['images'], context: Context): Config['images'] {
  if (!getHashes().includes(raw.hashing_algorithm)) {
    complain(context, 'images.hashing_algorithm', `this Node.js has no digest algorithm "${raw.hashing_algorithm}"`);
  }
  return {
    showDirectUrl: raw.show_direct_url,
    showMultipleLocations: raw.show_multiple_locations,
    hashingAlgorithm: raw.hashing_algorithm,
    doSecureHash: raw.do_secure_hash,
    httpRetries: raw.http_retries,
    diskFormats: raw.disk_formats,
    containerFormats: raw.container_formats,
    delayedDelete: raw.delayed_delete,
    scrubTimeMs: durationMs(raw.scrub_time),
    formatMatch: raw.format_match,
    propertyProtectionFile: pathOrNull(raw.property_protection_file),
    propertyProtectionRuleFormat: raw.property_protection_rule_format,
    policyFile: pathOrNull(raw.policy_file),
  };
}

const SLOWEST_SCRUB_BYTES = 65_536;

function compileScrub(raw: RawOptions['scrub'], context: Context): Config['scrub'] {
  const rateBytes = sizeBytes(raw.rate);
  if (rateBytes < SLOWEST_SCRUB_BYTES)
    complain(context, 'scrub.rate', 'expected at least 64KiB a second; interval = 0 turns the checks off');
  return { intervalMs: durationMs(raw.interval), rateBytes, orphanGraceMs: durationMs(raw.orphan_grace) };
}

function compileGateway(raw: RawOptions['gateway'], context: Context): Config['gateway'] {
  for (const proxy of raw.trusted_proxies) {
    const [address = '', bits] = proxy.split('/');
    const most = isIP(address) === 4 ? 32 : 128;
    const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
    if (isIP(address) !== 0 && fits) continue;
    const expected = 'expected addresses or networks such as 10.0.0.1 or 10.0.0.0/8';
    complain(context, 'gateway.trusted_proxies', `${expected}, found ${JSON.stringify(proxy)}`);
  }
  return {
    v1Enabled: raw.v1_enabled,
    publicEndpoint: raw.public_endpoint === '' ? null : webUrl(raw.public_endpoint, 'gateway.public_endpoint', context),
    trustedProxies: raw.trusted_proxies,
    nodes: raw.nodes,
    nodesHttp: raw.nodes_http.map((url) => webUrl(url, 'gateway.nodes_http', context)),
    nodesCaFile: pathOrNull(raw.nodes_ca_file),
  };
}

// Beneath / lie the files of the system itself.
function materializeRoot(given: string, context: Context): string {
  const root = resolve(given);
  if (given.startsWith('/') && root !== '/') return root;
  const expected = 'expected absolute paths of folders other than /';
  complain(context, 'materialize.roots', `${expected}, found ${JSON.stringify(given)}`);
  return root;
}

function hostPort(given: string, key: string, context: Context): HostPort {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:\s]+)):(\d{1,5})$/.exec(given);
  const port = Number(match?.[3] ?? Number.NaN);
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
  complain(context, key, `expected HOST:PORT such as 127.0.0.1:9292 or [::1]:9292, found ${JSON.stringify(given)}`);
  return { host: '127.0.0.1', port: 0 };
}

function webUrl(given: string, key: string, context: Context): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const plain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === undefined || !plain || !['http:', 'https:'].includes(url.protocol)) {
    complain(context, key, 'expected an http or https URL without user, query and fragment');
  }
  return given.replace(/\/+$/, '');
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

function complain(context: Context, key: string, problem: string): void {
  const source = context.settings.get(key)?.source;
  context.problems.push(`${keyText(key)}: ${problem} (${source === undefined ? 'not set' : sourceText(source)})`);
}

function orNull(value: string): string | null {
  return value === '' ? null : value;
}

function pathOr(value: string, fallback: string): string {
  return value === '' ? fallback : resolve(value);
}

function pathOrNull(value: string): string | null {
  return value === '' ? null : resolve(value);
}

function sizeBytes(value: string | number): number {
  return checked(parseSize(value));
}

function durationMs(value: string | number): number {
  return checked(parseDurationMs(value));
}

/** Sizes and durations were parsed once when their type was checked. */
function checked(value: number | undefined): number {
  if (value === undefined) throw new Error('a checked quantity does not parse');
  return value;
}
