/**
 * Edges of a cluster: reads at one 50 ms away from its authority against a single node, what a change through it costs, and
 * changes through three edges at once. The delay is a proxy's, on both ways to the authority.
 *
 * node dist/bench/edge.js [--rounds 3] [--seconds 3] [--one-way-ms 50]
 */
import { mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { startCluster, type TestCluster } from '../test/support/cluster.js';
import { startNode, type TestNode } from '../test/support/node.js';
import { RestClient } from '../test/support/rest-client.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { benchOption, Report } from './support/report.js';
import { type WrkResult, wrk } from './support/wrk.js';

const ROUNDS = benchOption('rounds', 3);
const SECONDS = benchOption('seconds', 3);
const ONE_WAY_MS = benchOption('one-way-ms', 50);
const IMAGES = 1000;
const CHANGES = 40;
/** Whose reads wait for their own last change, not for everybody's. */
const CALLERS = 1000;
const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const PATCH_TYPE = 'application/openstack-images-v2.1-json-patch';

const folder = await tempFolder('bench-edge');
const report = new Report('edge');

async function seed(rest: RestClient, count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 20) {
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, k) => rest.create({ name: `image-${n + k}`, min_ram: n, ...FORMATS })),
    );
    ids.push(...made.map(({ id }) => id));
  }
  return ids;
}

function reads(url: string): Promise<WrkResult> {
  return wrk({ url, headers: {}, connections: 1, seconds: SECONDS, folder: folder.path });
}

/** Changes of different images; `connections` at a time. */
function patches(node: TestNode, ids: readonly string[], connections: number, seconds: number): Promise<WrkResult> {
  const script = `local ids = {${ids.map((id) => `"${id}"`).join(',')}}
headers["Content-Type"]="${PATCH_TYPE}"
headers["X-Project-Id"]="default"
headers["X-Roles"]="admin"
request = function()
  n = n + 1
  headers["X-User-Id"]="writer-" .. n % ${CALLERS}
  local body = '[{"op":"replace","path":"/min_ram","value":' .. n .. '}]'
  return wrk.format("PATCH", "/v2/images/" .. ids[n % #ids + 1], headers, body)
end`;
  return wrk({ url: node.httpUrl, headers: {}, connections, seconds, script, folder: folder.path });
}

/** The 99th percentile of the event loop's delay since it was asked for last, in ms. */
async function loopDelayMs(rest: RestClient): Promise<number> {
  const { text } = await rest.call('GET', '/metrics');
  return Number(/^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1]) * 1000;
}

function first<T>(all: readonly T[]): T {
  const [one] = all;
  if (one === undefined) throw new Error('expected at least one');
  return one;
}

/** Lists and shows at the edge and at a node of its own, in turns. */
async function localReads(cluster: TestCluster): Promise<void> {
  const [edge, rest] = [first(cluster.edges), first(cluster.rest)];
  const single = await startNode({ args: ['--log-level', 'warn'] });
  try {
    const singleId = first(await seed(new RestClient(single.httpUrl), IMAGES));
    const edgeId = first(await seed(rest, IMAGES));
    const paths = { 'list of 25': ['?limit=25', '?limit=25'], show: [`/${edgeId}`, `/${singleId}`] } as const;
    for (const [what, [atEdge, atSingle]] of Object.entries(paths)) {
      const [near, far]: [WrkResult[], WrkResult[]] = [[], []];
      for (let round = 0; round < ROUNDS; round += 1) {
        far.push(await reads(`${edge.httpUrl}/v2/images${atEdge}`));
        near.push(await reads(`${single.httpUrl}/v2/images${atSingle}`));
      }
      for (const [name, target] of [
        ['p50Ms', '≤ 1.2'],
        ['p99Ms', '≤ 2'],
      ] as const) {
        const series = [
          { subject: 'edge', values: far.map((result) => result[name]) },
          { subject: 'single node', values: near.map((result) => result[name]) },
        ];
        report.add(`${what}, ${name.slice(0, 3)}`, 'ms', series, target);
      }
    }
  } finally {
    await single.stop();
  }
}

/** One caller that changes an image and looks at it, again and again. */
async function changesFarAway(cluster: TestCluster): Promise<void> {
  const [edge, rest] = [first(cluster.edges), first(cluster.rest)];
  const { id } = await rest.create({ name: 'far', ...FORMATS });
  const [changes, looks]: [number[], number[]] = [[], []];
  for (let n = 0; n < CHANGES; n += 1) {
    const startMs = performance.now();
    await rest.patch(id, [{ op: 'replace', path: '/min_ram', value: n }]);
    const changedMs = performance.now();
    await rest.show(id);
    changes.push(changedMs - startMs);
    looks.push(performance.now() - changedMs);
  }
  const roundTripMs = 2 * ONE_WAY_MS;
  report.add('PATCH', 'ms', [{ subject: 'edge', values: changes }], `one round trip, ${roundTripMs}, and a commit`);
  report.add('show at once after it', 'ms', [{ subject: 'edge', values: looks }], `≤ ${2 * roundTripMs + 20}`);
  const ids = await seed(rest, 40);
  await loopDelayMs(rest);
  const written = await patches(edge, ids, 20, SECONDS * 2);
  report.add('20 writers', 'req/s', [{ subject: 'edge', values: [written.perSecond] }]);
  report.add('event loop delay p99 meanwhile', 'ms', [{ subject: 'edge', values: [await loopDelayMs(rest)] }], '< 20');
}

/**
 * 64 writers over three edges beside the authority. A copy flushes its disk twice for each group, so that three of them on the disk
 * of the authority hold that up; in memory they are as if they had disks of their own.
 */
async function manyWriters(cluster: TestCluster, disks: string): Promise<void> {
  const ids = await seed(first(cluster.rest), 960);
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const parts = await Promise.all(
      cluster.edges.map((edge, index) =>
        patches(edge, ids.slice(index * 320, (index + 1) * 320), index === 0 ? 22 : 21, SECONDS),
      ),
    );
    rates.push(parts.reduce((sum, { perSecond }) => sum + perSecond, 0));
  }
  const single: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1)
    single.push((await patches(first(cluster.edges), ids, 1, SECONDS)).perSecond);
  const series = [
    { subject: '64 writers, 3 edges', values: rates },
    { subject: '1 writer, 1 edge', values: single },
  ];
  report.add(`PATCH, durable, ${disks}`, 'req/s', series, '≥ 1500');
}

try {
  const far = await startCluster(1, { proxied: true, args: ['--log-level', 'warn'] });
  try {
    for (const { calls, sync } of far.ways) for (const way of [calls, sync]) way.setDelay(ONE_WAY_MS);
    await localReads(far);
    await changesFarAway(far);
  } finally {
    await far.stop();
  }
  for (const disks of ['one disk', 'edges in memory'] as const) {
    const near = await startCluster(3, {
      args: ['--log-level', 'warn'],
      nodeOptions: (node, dataDir) => {
        if (node !== 'primary' && disks === 'edges in memory')
          symlinkSync(mkdtempSync('/dev/shm/oriel-bench-'), dataDir);
        return {};
      },
    });
    try {
      await manyWriters(near, disks);
    } finally {
      const folders = near.edges.map(({ dataDir }) => realpathSync(dataDir));
      await near.stop();
      for (const dataDir of folders) rmSync(dataDir, { recursive: true, force: true });
    }
  }
  report.save();
} finally {
  await folder.remove();
}
