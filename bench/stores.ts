/**
 * Images in a folder, in Swift and in S3, through a node, against their limits in the same run and in turns: an upload against
 * `swift upload` of python3-swiftclient and `rclone`, a download against the same bytes piped by a bare node:http client and
 * server. Needs the Debian packages of scripts/test, python3-swiftclient and rclone.
 *
 *   node dist/bench/stores.js [--mib 256] [--repeats 5] [--store file|swift|s3]
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { get, request } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MIB } from '../src/base/units.js';
import { startNode, type TestNode } from '../test/support/node.js';
import { RestClient } from '../test/support/rest-client.js';
import { startSwift } from '../test/support/swift.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { Report } from './support/report.js';

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    repeats: { type: 'string', default: '5' },
    store: { type: 'string' },
  },
});
const sizeBytes = Number(options.mib) * MIB;
const report = new Report('stores');
const folder = await tempFolder('bench-stores');
const inFolder = (name: string): string => join(folder.path, name);
const file = inFolder('object');
const swift = await startSwift();
const stopping: (() => Promise<void>)[] = [folder.remove, swift.stop];
try {
  await main();
} finally {
  for (const stop of stopping.reverse()) await stop();
}

/** A store, and the command of the client that its uploads are compared with. */
interface Subject {
  readonly store: string;
  readonly client: { readonly name: string; upload(turn: number): Promise<void> } | undefined;
}

async function main(): Promise<void> {
  await writeFile(file, randomBytes(sizeBytes));
  await swift.request('PUT', '/bucket');
  await swift.request('POST', '', { 'x-account-meta-temp-url-key': 'url-key' });
  for (const [name, text] of [
    ['key', swift.key],
    ['url-key', 'url-key'],
    ['keys', `aws_access_key_id = ${swift.user}\naws_secret_access_key = ${swift.key}\n`],
    ['oriel.toml', configuration()],
  ] as const)
    await writeFile(inFolder(name), text, { mode: 0o600 });
  const node = await startNode({ dataDir: inFolder('data'), args: ['--config', inFolder('oriel.toml')] });
  stopping.push(() => node.stop());
  const pipe = await startPipe();
  stopping.push(() => pipe.stop());
  const subjects: readonly Subject[] = [
    { store: 'file', client: undefined },
    { store: 'swift', client: { name: 'swiftclient', upload: uploadBySwiftClient } },
    { store: 's3', client: { name: 'rclone', upload: uploadByRclone } },
  ];
  const chosen = subjects.filter(({ store }) => options.store === undefined || options.store === store);
  for (const subject of chosen) await compare(subject, node, pipe.url);
  report.save();
}

function configuration(): string {
  return `[images]
show_direct_url = true
[stores.file]
path = "${inFolder('images')}"
default = true
[stores.swift]
type = "swift"
auth_url = "${swift.authUrl}"
user = "${swift.user}"
key_file = "${inFolder('key')}"
container = "images"
auth_version = "1"
temp_url_key_file = "${inFolder('url-key')}"
[stores.s3]
type = "s3"
endpoint = "${swift.url}"
bucket = "bucket"
credentials_file = "${inFolder('keys')}"
presign = true
`;
}

async function compare({ store, client }: Subject, node: TestNode, pipeUrl: string): Promise<void> {
  const rates = { up: [] as number[], client: [] as number[], down: [] as number[], bare: [] as number[] };
  const rest = new RestClient(node.httpUrl);
  const repeats = Number(options.repeats);
  const ids: string[] = [];
  for (let turn = 0; turn < repeats; turn += 1) {
    const { id } = await rest.create({ disk_format: 'raw', container_format: 'bare' });
    ids.push(id);
    rates.up.push(await rateOf(() => put(`${node.httpUrl}/v2/images/${id}/file`, store)));
    if (client !== undefined) rates.client.push(await rateOf(() => client.upload(turn)));
  }
  const [id = ''] = ids;
  const source = (await rest.show(id)).direct_url ?? '';
  const ours = () => drain(`${node.httpUrl}/v2/images/${id}/file`);
  const bare = () => drain(`${pipeUrl}/?source=${encodeURIComponent(source)}`);
  // What is read first after an upload finds caches cold and the disk busy, whoever it is.
  await bare();
  await ours();
  for (let turn = 0; turn < repeats; turn += 1) {
    const first = turn % 2 === 0;
    if (first) rates.down.push(await rateOf(ours));
    rates.bare.push(await rateOf(bare));
    if (!first) rates.down.push(await rateOf(ours));
  }
  for (const done of ids) await rest.call('DELETE', `/v2/images/${done}`);
  if (client !== undefined) {
    const limit = [
      { subject: 'Oriel', values: rates.up },
      { subject: client.name, values: rates.client },
    ];
    report.add(`${store}: upload ${options.mib} MiB`, 'MB/s', limit, '≥ 0.8');
  }
  const piped = [
    { subject: 'Oriel', values: rates.down },
    { subject: 'node:http', values: rates.bare },
  ];
  report.add(`${store}: download ${options.mib} MiB`, 'MB/s', piped, '≥ 0.8');
}

async function put(url: string, store: string): Promise<void> {
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(sizeBytes),
    'x-image-meta-store': store,
  };
  const asking = request(url, { method: 'PUT', agent: false, headers });
  const answered = new Promise<number>((resolve, reject) => {
    asking.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asking.once('error', reject);
  });
  await pipeline(createReadStream(file, { highWaterMark: MIB }), asking);
  const status = await answered;
  if (status !== 204) throw new Error(`PUT answered ${status}`);
}

function drain(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = get(url, { agent: false }, (response) => {
      let cameBytes = 0;
      response.on('data', (chunk: Uint8Array) => (cameBytes += chunk.length));
      response.once('error', reject);
      response.once('end', () => {
        if (cameBytes === sizeBytes) resolve();
        else reject(new Error(`${url}: ${cameBytes} of ${sizeBytes} bytes came`));
      });
    });
    asking.once('error', reject);
  });
}

/** The client's command, with segments as large as Oriel's. */
function uploadBySwiftClient(turn: number): Promise<void> {
  const login = ['-A', swift.authUrl, '-U', swift.user, '-K', swift.key];
  const how = ['upload', '--use-slo', '-S', String(8 * MIB), '--object-name', `client-${turn}`, 'client', file];
  return run('/usr/bin/swift', [...login, ...how]);
}

function uploadByRclone(turn: number): Promise<void> {
  return run('/usr/bin/rclone', ['copyto', file, `peer:bucket/rclone-${turn}`], {
    RCLONE_CONFIG_PEER_TYPE: 's3',
    RCLONE_CONFIG_PEER_PROVIDER: 'Other',
    RCLONE_CONFIG_PEER_ENDPOINT: swift.url,
    RCLONE_CONFIG_PEER_REGION: 'us-east-1',
    RCLONE_CONFIG_PEER_ACCESS_KEY_ID: swift.user,
    RCLONE_CONFIG_PEER_SECRET_ACCESS_KEY: swift.key,
    RCLONE_CONFIG: '/dev/null',
  });
}

async function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  // Nothing of the person who measures: proxies, certificates and credentials of other services.
  const clean = { PATH: '/usr/bin:/bin', HOME: folder.path, no_proxy: '*' };
  const child = spawn(command, args, { stdio: 'ignore', env: { ...clean, ...env } });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}`);
}

/** The bare server is a process of its own, as the node is. */
async function startPipe(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const child: ChildProcess = fork(fileURLToPath(new URL('pipe-server.js', import.meta.url)));
  const port = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', reject);
  });
  const stop = async (): Promise<void> => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  };
  return { url: `http://127.0.0.1:${String(port)}`, stop };
}

/** MB/s. */
async function rateOf(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return sizeBytes / 1000 / (performance.now() - started);
}
