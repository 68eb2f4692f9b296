/**
 * A real Swift on loopback for tests: proxy (TempAuth, Keystone, S3 API), account, container and object server and a
 * memcached, on free ports, with one replica in a temporary folder. Debian's packages: those in scripts/test.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { freePort } from './free-port.js';
import { tempFolder } from './temp-folder.js';

const PROGRAMS = ['proxy', 'account', 'container', 'object'].map((kind) => `/usr/bin/swift-${kind}-server`);
/** Holds the cluster's secret, which Swift reads from nowhere else; Debian's package writes one. */
const SECRET_FILE = '/etc/swift/swift.conf';
// Debian's Python, not one that a developer has in front of it.
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', PYTHONDONTWRITEBYTECODE: '1', no_proxy: '*' };

/** For the hook that starts it: four Pythons on a busy machine. */
export const SWIFT_START_MS = 120_000;

export interface TestSwift {
  /** The proxy: `http://127.0.0.1:PORT`; also the endpoint of its S3 API. */
  readonly url: string;
  /** Of TempAuth. */
  readonly authUrl: string;
  /** TempAuth's `account:user` and key; to S3 the access key and its secret. */
  readonly user: string;
  readonly key: string;
  /** A request to the account of that user, such as `/container?format=json`. */
  request(method: string, path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** The names in a container; none when there is no such container. */
  readonly list: (container: string) => Promise<readonly string[]>;
  readonly stop: () => Promise<void>;
}

/** Tells whether the programs are installed. */
export function hasSwift(): boolean {
  return [...PROGRAMS, SECRET_FILE, '/usr/bin/memcached'].every((file) => {
    try {
      accessSync(file, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  });
}

interface Ports {
  readonly proxy: number;
  readonly account: number;
  readonly container: number;
  readonly object: number;
  readonly memcached: number;
}

/** Starts one; with `keystoneUrl` (ending in /v3) it takes tokens of that Keystone, too, for accounts `KEY_<project>`. */
export async function startSwift(options: { readonly keystoneUrl?: string } = {}): Promise<TestSwift> {
  const folder = await tempFolder('swift');
  const [proxy, account, container, object, memcached] = await Promise.all(Array.from({ length: 5 }, freePort));
  const ports = { proxy, account, container, object, memcached } as Ports;
  mkdirSync(join(folder.path, 'node', 'd1'), { recursive: true });
  makeRings(folder.path, ports);
  for (const kind of ['account', 'container', 'object'] as const)
    writeFileSync(join(folder.path, `${kind}-server.conf`), storageConfig(folder.path, kind, ports[kind]));
  writeFileSync(join(folder.path, 'proxy-server.conf'), proxyConfig(folder.path, ports, options.keystoneUrl));
  const run = (command: string, args: readonly string[]): ChildProcess => {
    const log = openSync(join(folder.path, 'log'), 'a');
    return spawn(command, args, { cwd: folder.path, env: ENVIRONMENT, stdio: ['ignore', log, log] });
  };
  const children = [
    run('/usr/bin/memcached', [
      '-u',
      userInfo().username,
      '-l',
      '127.0.0.1',
      '-p',
      String(ports.memcached),
      '-m',
      '16',
    ]),
    ...PROGRAMS.map((program) =>
      run(program, [join(folder.path, `${/swift-(\w+-server)$/.exec(program)?.[1] ?? ''}.conf`)]),
    ),
  ];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(endOf));
    await folder.remove();
  };
  try {
    for (const port of [ports.proxy, ports.account, ports.container, ports.object])
      await waitFor(`http://127.0.0.1:${port}/healthcheck`, children, join(folder.path, 'log'));
    return { ...(await clientOf(`http://127.0.0.1:${ports.proxy}`)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function clientOf(url: string): Promise<Omit<TestSwift, 'stop'>> {
  const [user, key] = ['test:tester', 'testing'];
  const authUrl = `${url}/auth/v1.0`;
  const login = await fetch(authUrl, { headers: { 'x-auth-user': user, 'x-auth-key': key } });
  const token = login.headers.get('x-auth-token') ?? '';
  const storageUrl = login.headers.get('x-storage-url') ?? '';
  if (!login.ok) throw new Error(`Swift's TempAuth answered ${login.status}`);
  const request = async (method: string, path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(storageUrl + path, { method, headers: { ...headers, 'x-auth-token': token } });
  const list = async (container: string): Promise<readonly string[]> => {
    const answer = await request('GET', `/${encodeURIComponent(container)}`);
    return answer.ok ? (await answer.text()).split('\n').filter((name) => name !== '') : [];
  };
  return { url, authUrl, user, key, request, list };
}

/** One replica on one device for each kind of server; one program for all, since each start of Python takes its time. */
const RINGS = `
import sys
from swift.common.ring import RingBuilder
folder, ports = sys.argv[1], sys.argv[2:]
for kind, port in zip(('account', 'container', 'object'), ports):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'd1', 'weight': 1})
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (folder, kind))
`;

function makeRings(folder: string, ports: Ports): void {
  const args = [ports.account, ports.container, ports.object].map(String);
  execFileSync('/usr/bin/python3', ['-c', RINGS, folder, ...args], { env: ENVIRONMENT, stdio: 'ignore' });
}

function storageConfig(folder: string, kind: string, port: number): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${userInfo().username}
swift_dir = ${folder}
devices = ${folder}/node
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
recon_cache_path = ${folder}
log_level = WARNING
[pipeline:main]
pipeline = healthcheck ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
[filter:healthcheck]
use = egg:swift#healthcheck
`;
}

function proxyConfig(folder: string, ports: Ports, keystoneUrl: string | undefined): string {
  const keystone = keystoneUrl === undefined ? '' : 'authtoken keystoneauth ';
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${ports.proxy}
workers = 0
user = ${userInfo().username}
swift_dir = ${folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl s3api ${keystone}tempauth copy container-quotas account-quotas slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${ports.memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
check_bucket_owner = false
allow_multipart_uploads = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
user_root_root = rooting .admin .reseller_admin
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:account-quotas]
use = egg:swift#account_quotas
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
${keystoneUrl === undefined ? '' : keystoneConfig(keystoneUrl)}`;
}

function keystoneConfig(url: string): string {
  return `[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = ${url}
auth_url = ${url}
auth_type = password
username = admin
password = admin
project_name = admin
user_domain_id = default
project_domain_id = default
delay_auth_decision = true
[filter:keystoneauth]
use = egg:swift#keystoneauth
reseller_prefix = KEY_
operator_roles = admin, member
`;
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function waitFor(url: string, children: readonly ChildProcess[], logFile: string): Promise<void> {
  const deadline = Date.now() + 100_000;
  while (Date.now() < deadline && children.every((child) => child.exitCode === null)) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`Swift does not answer at ${url}:\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
}
