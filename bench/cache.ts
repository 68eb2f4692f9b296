/**
 * The node's cache: how much of an image is fetched for many readers who begin at once, how far apart they end, and a read that
 * fetches against one that finds the image cached and one past the cache, in the same run. The origin is a bucket on the
 * loopback, in the process of the readers.
 *
 *   node dist/bench/cache.js [--mib 1024] [--readers 100] [--repeats 3]
 */
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import path from 'node:path';
import { MIB } from '../src/base/units.js';
import { startFarStore } from '../test/support/far-store.js';
import type { TestNode } from '../test/support/node.js';
import { RestClient } from '../test/support/rest-client.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { residentMib } from './support/process-memory.js';
import { benchOption, Report } from './support/report.js';

const SIZE_BYTES = benchOption('mib', 1024) * MIB;
const READERS = benchOption('readers', 100);
const REPEATS = benchOption('repeats', 3);
const report = new Report('cache');
const folder = await tempFolder('bench-cache');
const far = await startFarStore(folder.path);

/** Reads the image and drops it; returns how long that took, in milliseconds. */
async function read(node: TestNode, id: string): Promise<number> {
  const startedMs = performance.now();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${node.httpUrl}/v2/images/${id}/file`, { agent: false }, resolve).on('error', reject).end();
  });
  let cameBytes = 0;
  await new Promise<void>((resolve, reject) => {
    response
      .on('data', (chunk: Buffer) => (cameBytes += chunk.length))
      .on('end', resolve)
      .on('error', reject);
  });
  if (cameBytes !== SIZE_BYTES) throw new Error(`${cameBytes} bytes came`);
  return performance.now() - startedMs;
}

async function upload(node: TestNode): Promise<string> {
  const rest = new RestClient(node.httpUrl);
  const { id } = await rest.create({ disk_format: 'raw', container_format: 'bare' });
  const chunk = randomBytes(8 * MIB);
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < SIZE_BYTES; sent += chunk.length) {
      // No two units are the same.
      chunk.writeUInt32LE(sent / chunk.length, 0);
      yield await Promise.resolve(chunk.subarray(0, Math.min(chunk.length, SIZE_BYTES - sent)));
    }
  }
  const { status, text } = await rest.upload(id, bytes());
  if (status !== 204) throw new Error(`upload answered ${status}: ${text}`);
  return id;
}

/** The value below which so much of the values lie. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The 99th percentile of the event loop's delay since the last time it was asked for, in ms. */
async function loopDelayMs(node: TestNode): Promise<number> {
  const { text } = await new RestClient(node.httpUrl).call('GET', '/metrics');
  return Number(/^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1]) * 1000;
}

async function manyReaders(node: TestNode, id: string): Promise<void> {
  const before = { bytes: far.bytes(), mib: residentMib(node.pid) };
  let peakMib = 0;
  await loopDelayMs(node);
  const timer = setInterval(() => (peakMib = Math.max(peakMib, residentMib(node.pid))), 100);
  const times = await Promise.all(Array.from({ length: READERS }, () => read(node, id)));
  clearInterval(timer);
  const fetched = (far.bytes() - before.bytes) / SIZE_BYTES;
  report.add(`${READERS} readers: fetched of the image`, 'ratio', [{ subject: 'oriel', values: [fetched] }], '≤ 1.05');
  const spread = quantile(times, 0.99) / quantile(times, 0.5);
  report.add(`${READERS} readers: p99/p50 of completion`, 'ratio', [{ subject: 'oriel', values: [spread] }], '≤ 1.8');
  report.add(`${READERS} readers: last one`, 's', [{ subject: 'oriel', values: [Math.max(...times) / 1000] }]);
  const delay = { subject: 'oriel', values: [await loopDelayMs(node)] };
  report.add(`${READERS} readers: event-loop delay p99`, 'ms', [delay]);
  report.add(`${READERS} readers: memory`, 'MiB', [{ subject: 'oriel', values: [peakMib - before.mib] }]);
}

async function oneReader(node: TestNode, past: TestNode, id: string, pastId: string): Promise<void> {
  const rates = { first: [] as number[], second: [] as number[], past: [] as number[] };
  const mbPerS = (ms: number): number => SIZE_BYTES / 1000 / ms;
  for (let round = 0; round < REPEATS; round += 1) {
    await new RestClient(node.httpUrl).call('DELETE', '/v2/cache');
    rates.first.push(mbPerS(await read(node, id)));
    rates.second.push(mbPerS(await read(node, id)));
    rates.past.push(mbPerS(await read(past, pastId)));
  }
  const series = (subject: 'first' | 'second' | 'past') => ({ subject, values: rates[subject] });
  report.add('one reader: first against past the cache', 'MB/s', [series('first'), series('past')]);
  report.add('one reader: second against first', 'MB/s', [series('second'), series('first')]);
}

const node = await far.startNode(path.join(folder.path, 'cached'));
const past = await far.startNode(path.join(folder.path, 'past'), { enabled: false });
try {
  const id = await upload(node);
  await manyReaders(node, id);
  await oneReader(node, past, id, await upload(past));
  report.save();
} finally {
  await node.stop();
  await past.stop();
  await far.close();
  await folder.remove();
}
