/**
 * Memory and responsiveness of a node: a large sparse image up and down, then 200 slow uploads while lists are asked for.
 * Memory is growth over the idle node, its child processes included. Options: --gib (16), --slow (200).
 */
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { startNode, type TestNode } from '../test/support/node.js';
import { RestClient } from '../test/support/rest-client.js';
import { residentMib } from './support/process-memory.js';
import { benchOption, Report } from './support/report.js';

const SIZE_BYTES = benchOption('gib', 16) * 2 ** 30;
const SLOW = benchOption('slow', 200);
const LISTS = 400;
const FORMATS = { disk_format: 'raw', container_format: 'bare' };
const chunk = new Uint8Array(1024 * 1024);

function* zeros(): Generator<Uint8Array> {
  for (let sent = 0; sent < SIZE_BYTES; sent += chunk.byteLength) yield chunk;
}

/** Runs the work and returns the most memory seen meanwhile, every 50 ms. */
async function peakMib(node: TestNode, work: () => Promise<void>): Promise<number> {
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, residentMib(node.pid));
  }, 50);
  await work();
  clearInterval(timer);
  return peak;
}

/** The 99th percentile of the event loop's delay since the last time it was asked for, in ms. */
async function loopDelayMs(rest: RestClient): Promise<number> {
  const { text } = await rest.call('GET', '/metrics');
  const seconds = /^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1];
  return Number(seconds) * 1000;
}

/** An upload of which the first bytes are sent and the rest waits for `finish`. */
async function slowUpload(node: TestNode, rest: RestClient, index: number): Promise<{ finish(): Promise<number> }> {
  const image = await rest.create({ name: `slow-${index}`, ...FORMATS });
  const upload = request(`${node.httpUrl}/v2/images/${image.id}/file`, {
    method: 'PUT',
    agent: false,
    headers: { 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' },
  });
  const status = new Promise<number>((resolve, reject) => {
    upload.once('error', reject);
    upload.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
  upload.write(chunk.subarray(0, 1000));
  const timer = setInterval(() => upload.write(chunk.subarray(0, 1000)), 250);
  return {
    finish: () => {
      clearInterval(timer);
      upload.end();
      return status;
    },
  };
}

async function largeImage(node: TestNode, rest: RestClient, report: Report): Promise<void> {
  const idle = residentMib(node.pid);
  await loopDelayMs(rest);
  const { id } = await rest.create({ name: 'large', ...FORMATS });
  const up = await peakMib(node, async () => {
    const answer = await rest.upload(id, Readable.from(zeros()));
    if (answer.status !== 204) throw new Error(`upload answered ${answer.status}: ${answer.text}`);
  });
  const down = await peakMib(node, async () => {
    const response = await fetch(`${node.httpUrl}/v2/images/${id}/file`);
    let sizeBytes = 0;
    for await (const part of response.body ?? []) sizeBytes += (part as Uint8Array).byteLength;
    if (sizeBytes !== SIZE_BYTES) throw new Error(`download ended after ${sizeBytes} of ${SIZE_BYTES} bytes`);
  });
  const gib = SIZE_BYTES / 2 ** 30;
  report.add('idle', 'MiB', [{ subject: 'oriel', values: [idle] }]);
  report.add(`growth, upload of ${gib} GiB`, 'MiB', [{ subject: 'oriel', values: [up - idle] }], '< 150');
  report.add(`growth, download of ${gib} GiB`, 'MiB', [{ subject: 'oriel', values: [down - idle] }], '< 150');
  report.add(
    'event loop delay p99, large image',
    'ms',
    [{ subject: 'oriel', values: [await loopDelayMs(rest)] }],
    '< 20',
  );
  await rest.call('DELETE', `/v2/images/${id}`);
}

async function slowUploads(node: TestNode, rest: RestClient, report: Report): Promise<void> {
  const uploads = await Promise.all(Array.from({ length: SLOW }, (_, index) => slowUpload(node, rest, index)));
  const tookMs: number[] = [];
  for (let index = 0; index < LISTS; index += 1) {
    const startMs = performance.now();
    await rest.call('GET', '/v2/images?limit=25');
    tookMs.push(performance.now() - startMs);
  }
  tookMs.sort((left, right) => left - right);
  const p99 = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0;
  report.add(`list p99 during ${SLOW} slow uploads`, 'ms', [{ subject: 'oriel', values: [p99] }], '< 50');
  report.add(
    'event loop delay p99, slow uploads',
    'ms',
    [{ subject: 'oriel', values: [await loopDelayMs(rest)] }],
    '< 20',
  );
  const statuses = await Promise.all(uploads.map((upload) => upload.finish()));
  if (statuses.some((status) => status !== 204))
    throw new Error(`slow uploads ended with ${[...new Set(statuses)].join(', ')}`);
}

const node = await startNode({ args: ['--log-level', 'warn'] });
try {
  const report = new Report('memory');
  const rest = new RestClient(node.httpUrl);
  await largeImage(node, rest, report);
  await slowUploads(node, rest, report);
  report.save();
} finally {
  await node.stop();
}
