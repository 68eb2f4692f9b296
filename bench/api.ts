/**
 * The Images API of Oriel against that of Debian's Glance, alternately in one run on one machine. Needs the Debian
 * packages glance-api, wrk and curl. Options: --rounds (5), --seconds (2, each run of wrk), --mib (1024), --only TEXT (the
 * measures whose name starts with it).
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { startNode } from '../test/support/node.js';
import { RestClient } from '../test/support/rest-client.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { startGlance } from './support/glance.js';
import { benchOption, benchText, Report } from './support/report.js';
import { type WrkResult, wrk } from './support/wrk.js';

const ROUNDS = benchOption('rounds', 5);
const SECONDS = benchOption('seconds', 2);
const SIZE_MIB = benchOption('mib', 1024);
const ONLY = benchText('only', '');
const CONNECTIONS = 8;
/** The peer's share of failed answers that a row of figures bears; they do not count as served. */
const PEER_REFUSALS = 0.25;
const HEADERS = {
  'X-User-Id': 'bench',
  'X-Tenant-Id': 'bench',
  'X-Project-Id': 'bench',
  'X-Roles': 'member',
  'X-Identity-Status': 'Confirmed',
};

interface Subject {
  readonly subject: string;
  readonly url: string;
  readonly rest: RestClient;
  imageId: string;
  dataId: string;
}

const folder = await tempFolder('bench');
const glance = await startGlance();
const node = await startNode({ args: ['--log-level', 'warn'] });
const subjects: readonly Subject[] = [
  { subject: 'oriel', url: node.httpUrl, rest: new RestClient(node.httpUrl, HEADERS), imageId: '', dataId: '' },
  { subject: 'glance', url: glance.url, rest: new RestClient(glance.url, HEADERS), imageId: '', dataId: '' },
];
const report = new Report('api');

/** Measures every subject in turn, ROUNDS times. */
async function compare(
  measure: string,
  unit: string,
  run: (subject: Subject) => Promise<number>,
  target?: string,
): Promise<void> {
  if (!measure.startsWith(ONLY)) return;
  const series = subjects.map(({ subject }) => ({ subject, values: [] as number[] }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, subject] of subjects.entries()) series[index]?.values.push(await run(subject));
  }
  report.add(measure, unit, series, target);
}

function load(subject: Subject, target: string, script?: string, connections = CONNECTIONS): Promise<WrkResult> {
  return wrk({
    url: subject.url + target,
    headers: HEADERS,
    connections,
    seconds: SECONDS,
    folder: folder.path,
    ...(subject.subject === 'glance' ? { refusedAtMost: PEER_REFUSALS } : {}),
    ...(script === undefined ? {} : { script }),
  });
}

const reads = (measure: string, target: (subject: Subject) => string, wanted?: string): Promise<void> =>
  compare(measure, 'req/s', async (subject) => (await load(subject, target(subject))).perSecond, wanted);

const writes = (measure: string, script: (subject: Subject) => string, wanted?: string): Promise<void> =>
  compare(measure, 'req/s', async (subject) => (await load(subject, '/', script(subject))).perSecond, wanted);

/** Creates images, one after another, up to a number; returns how many a second. */
async function seed(subject: Subject, from: number, upTo: number): Promise<number> {
  const startMs = performance.now();
  for (let index = from; index < upTo; index += 1) {
    const image = await subject.rest.create({
      name: `image-${String(index).padStart(5, '0')}`,
      disk_format: 'raw',
      container_format: 'bare',
      tags: [`a${index % 7}`, 'b'],
      os_distro: 'debian',
      kind: `k${index % 5}`,
    });
    if (index === 0) subject.imageId = image.id;
  }
  return ((upTo - from) * 1000) / (performance.now() - startMs);
}

async function curl(args: readonly string[]): Promise<string> {
  const identity = Object.entries(HEADERS).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const { stdout } = await promisify(execFile)('curl', ['-sS', '-o', '/dev/null', ...identity, ...args]);
  return stdout;
}

const megabytes = (startMs: number): number => (SIZE_MIB * 1.048576 * 1000) / (performance.now() - startMs);

async function put(subject: Subject, file: string): Promise<number> {
  if (subject.dataId !== '') await subject.rest.call('DELETE', `/v2/images/${subject.dataId}`);
  subject.dataId = (await subject.rest.create({ name: 'data', disk_format: 'raw', container_format: 'bare' })).id;
  const startMs = performance.now();
  const type = ['-H', 'Content-Type: application/octet-stream', '-H', 'Expect:'];
  const code = await curl([
    '-w',
    '%{http_code}',
    '-T',
    file,
    ...type,
    `${subject.url}/v2/images/${subject.dataId}/file`,
  ]);
  if (code !== '204') throw new Error(`PUT answered ${code}`);
  return megabytes(startMs);
}

async function get(subject: Subject): Promise<number> {
  const startMs = performance.now();
  const code = await curl(['-w', '%{http_code} %{size_download}', `${subject.url}/v2/images/${subject.dataId}/file`]);
  if (code !== `200 ${SIZE_MIB * 1048576}`) throw new Error(`GET answered ${code}`);
  return megabytes(startMs);
}

const JSON_TYPE = 'headers["Content-Type"]="application/json"';
const CREATE = `${JSON_TYPE}
request = function() n = n + 1
  return wrk.format("POST", "/v2/images", headers, '{"name":"w'..n..'","disk_format":"raw","container_format":"bare","os_distro":"debian","tags":["x"]}')
end`;
const patch = ({ imageId }: Subject): string => `headers["Content-Type"]="application/openstack-images-v2.1-json-patch"
request = function() n = n + 1
  return wrk.format("PATCH", "/v2/images/${imageId}", headers, '[{"op":"replace","path":"/name","value":"n'..n..'"}]')
end`;
const tag = ({ imageId }: Subject): string => `request = function() n = n + 1
  return wrk.format("PUT", "/v2/images/${imageId}/tags/t"..(n % 20), headers) end`;
// One connection each: with several, one connection's DELETE overtakes another's POST and the answers are 404s.
const member = ({ imageId }: Subject): string => `${JSON_TYPE}
request = function() n = n + 1
  if n % 2 == 1 then return wrk.format("POST", "/v2/images/${imageId}/members", headers, '{"member":"mm"}') end
  return wrk.format("DELETE", "/v2/images/${imageId}/members/mm", headers) end`;

async function measureMetadata(): Promise<void> {
  for (const subject of subjects) await seed(subject, 0, 100);
  await reads('list 25 of 100', () => '/v2/images?limit=25');
  const seeded: Record<string, number> = {};
  for (const subject of subjects) seeded[subject.subject] = await seed(subject, 100, 1000);
  report.add(
    'create, 1 connection',
    'req/s',
    subjects.map(({ subject }) => ({ subject, values: [seeded[subject] ?? 0] })),
  );
  await reads('list 25 of 1000', () => '/v2/images?limit=25', '≥ 30');
  await reads('list 25 of 1000, kind=k1', () => '/v2/images?limit=25&kind=k1', '≥ 30');
  await reads('list 25 of 1000, tag=a3', () => '/v2/images?limit=25&tag=a3', '≥ 30');
  await reads('list 25 of 1000, sort=name:asc', () => '/v2/images?limit=25&sort=name:asc', '≥ 30');
  await reads('show', ({ imageId }) => `/v2/images/${imageId}`, '≥ 35');
  await reads('schema', () => '/v2/schemas/image');
  await writes('patch', patch, '≥ 20');
  await writes('tag', tag, '≥ 20');
  for (const subject of subjects)
    await subject.rest.patch(subject.imageId, [{ op: 'replace', path: '/visibility', value: 'shared' }]);
  await compare(
    'member, add and remove, 1 connection',
    'req/s',
    async (subject) => (await load(subject, '/', member(subject), 1)).perSecond,
    '≥ 20',
  );
}

/** Our slowest of a hundred against the peer's middle one. */
async function measureLatency(): Promise<void> {
  if (!'list 25, 50 connections'.startsWith(ONLY)) return;
  const series = subjects.map(({ subject }) => ({
    subject: subject === 'oriel' ? 'oriel p99' : 'glance p50',
    values: [] as number[],
  }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, subject] of subjects.entries()) {
      const { p50Ms, p99Ms } = await load(subject, '/v2/images?limit=25', undefined, 50);
      series[index]?.values.push(subject.subject === 'oriel' ? p99Ms : p50Ms);
    }
  }
  report.add('list 25, 50 connections', 'ms', series, '< 1');
}

function* randomUnits(): Generator<Uint8Array> {
  for (let unit = 0; unit < SIZE_MIB; unit += 1) yield randomBytes(1048576);
}

async function measureData(): Promise<void> {
  const file = path.join(folder.path, 'data');
  await pipeline(Readable.from(randomUnits()), createWriteStream(file));
  await compare(`PUT ${SIZE_MIB} MiB`, 'MB/s', (subject) => put(subject, file), '≥ 1.5');
  await compare(`GET ${SIZE_MIB} MiB`, 'MB/s', get, '≥ 1');
}

try {
  await measureMetadata();
  await measureLatency();
  await writes(`create, ${CONNECTIONS} connections`, () => CREATE, '≥ 20');
  await measureData();
  report.save();
} finally {
  await node.stop();
  await glance.stop();
  await folder.remove();
}
