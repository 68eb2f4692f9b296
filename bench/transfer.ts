/**
 * Measures the parts of an upload and a download, each as a ratio to its limit in the same run.
 *
 *   node dist/bench/transfer.js [--mib 256] [--repeats 3] [--sparse-gib 2] [--url http://HOST:PORT] [--dir FOLDER]
 *
 * `--mib 1024` is the full run. `--sparse-gib` streams a source of mostly zeros through digester and store and reports how
 * the memory grew. With `--url` the same bytes go through a running node (auth `none`): create, PUT, GET, delete; there the
 * limits are the slower hash alone and a bare node:http server that serves the same file.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ImageStore } from '../src/application/ports/image-store.js';
import { type ObjectKey, asObjectKey, asStoreId } from '../src/base/brand.js';
import { MIB } from '../src/base/units.js';
import { openFileStore } from '../src/stores/file/file-store.js';
import { createDigester } from '../src/workers/digest/digester.js';

const OS_HASH = 'sha512';
/** Network reads come in this size. */
const CHUNK_BYTES = 64 * 1024;

const { values: options } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    repeats: { type: 'string', default: '3' },
    'sparse-gib': { type: 'string', default: '0' },
    url: { type: 'string' },
    dir: { type: 'string', default: tmpdir() },
  },
});
const sizeBytes = Number(options.mib) * MIB;
const repeats = Number(options.repeats);
/** Content that repeats after 8 MiB: made once, so that making it costs nothing while measuring. */
const content = randomBytes(8 * MIB);
const folder = await mkdtemp(join(options.dir, 'oriel-bench-'));

try {
  await main();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  console.log(
    `${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, node ${process.version}, ${options.mib} MiB, median of ${repeats}`,
  );
  const store = await openFileStore({ id: asStoreId('bench'), path: join(folder, 'store') });
  const hashes = await measureHashes();
  await measureDigester(hashes);
  await measurePut(store, hashes);
  await measureRead(store);
  if (options.url !== undefined) await measureService(options.url, store, hashes);
  if (Number(options['sparse-gib']) > 0) await measureMemory(store, Number(options['sparse-gib']));
}

/** The slower of the two stream hashes alone, in MB/s. */
async function measureHashes(): Promise<number> {
  const rates = new Map<string, number>();
  for (const name of ['md5', OS_HASH, 'sha256']) {
    const rate = await median(() => {
      const hash = createHash(name);
      for (const chunk of chunks(MIB)) hash.update(chunk);
      hash.digest();
    });
    rates.set(name, rate);
    report(`${name} alone`, rate);
  }
  return Math.min(rates.get('md5') ?? 0, rates.get(OS_HASH) ?? 0);
}

async function measureDigester(slowerHash: number): Promise<void> {
  const digester = createDigester();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const rate = await median(async () => {
    const session = digester.open(OS_HASH);
    await drain(session.units(stream(CHUNK_BYTES)));
    await session.finish();
  });
  report('digester into nothing', rate, { of: slowerHash, limit: 'slower hash' });
  console.log(`${'  event-loop delay p99'.padEnd(42)}${(delay.percentile(99) / 1e6).toFixed(1)} ms`);
  await digester.close();
}

async function measurePut(store: ImageStore, slowerHash: number): Promise<void> {
  const plain = await median(async () => {
    const file = await open(join(folder, 'plain'), 'w');
    for (const chunk of chunks(MIB)) await file.write(chunk, 0, chunk.length);
    await file.sync();
    await file.close();
  });
  report('write and fsync by 1 MiB', plain);
  const put = await median(async (turn) => {
    await store.put(keyOf(`put-${turn}`), stream(MIB), { signal: new AbortController().signal });
    await store.delete(keyOf(`put-${turn}`));
  });
  report('store put', put, { of: plain, limit: 'plain write' });
  const digester = createDigester();
  const whole = await median(async (turn) => {
    const session = digester.open(OS_HASH);
    await store.put(keyOf(`digest-${turn}`), session.units(stream(CHUNK_BYTES)), {
      signal: new AbortController().signal,
    });
    await session.finish();
    await store.delete(keyOf(`digest-${turn}`));
  });
  report('digester and store put', whole, { of: slowerHash, limit: 'slower hash' });
  await digester.close();
}

async function measureRead(store: ImageStore): Promise<void> {
  await store.put(keyOf('read'), stream(MIB), { signal: new AbortController().signal });
  const path = fileURLToPath(store.url(keyOf('read')));
  const buffer = Buffer.allocUnsafe(MIB);
  const pread = await median(async () => {
    const file = await open(path);
    for (let offset = 0; offset < sizeBytes; offset += MIB) await file.read(buffer, 0, MIB, offset);
    await file.close();
  });
  report('pread by 1 MiB', pread);
  const range = { offsetBytes: 0, lengthBytes: sizeBytes };
  report('store read', await median(() => drain(store.read(keyOf('read'), range, {}))), { of: pread, limit: 'pread' });
  const piped = await serving((response) => createReadStream(path).pipe(response));
  report('bare node:http, createReadStream().pipe()', piped);
  const looped = await serving(async (response) => {
    for await (const chunk of store.read(keyOf('read'), range, {})) {
      await new Promise<void>((resolve, reject) => {
        response.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
    response.end();
  });
  report('bare node:http, store read', looped, { of: piped, limit: 'piped file' });
  await store.delete(keyOf('read'));
}

/** MB/s at which a client in this process takes the answer of a bare server. */
async function serving(answer: (response: ServerResponse) => unknown): Promise<number> {
  const server = createServer((_request, response) => {
    response.setHeader('content-length', sizeBytes);
    void answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await median(() => fetchAndDrop(`http://127.0.0.1:${port}/`));
  } finally {
    server.close();
  }
}

async function measureService(url: string, store: ImageStore, slowerHash: number): Promise<void> {
  const ids: string[] = [];
  const put = await median(async () => {
    const image = await call(url, { method: 'POST', path: '/v2/images', type: 'application/json' }, [
      Buffer.from(JSON.stringify({ name: 'bench', disk_format: 'raw', container_format: 'bare' })),
    ]);
    const { id } = JSON.parse(image) as { id: string };
    ids.push(id);
    await call(
      url,
      { method: 'PUT', path: `/v2/images/${id}/file`, type: 'application/octet-stream' },
      chunks(CHUNK_BYTES),
    );
  });
  report('PUT to the service', put, { of: slowerHash, limit: 'slower hash' });

  await store.put(keyOf('served'), stream(MIB), { signal: new AbortController().signal });
  const path = fileURLToPath(store.url(keyOf('served')));
  const piped = await serving((response) => createReadStream(path).pipe(response));
  const got = await median(() => fetchAndDrop(`${url}/v2/images/${ids[0] ?? ''}/file`));
  report('GET from the service', got, { of: piped, limit: 'bare server piping the file' });
  await store.delete(keyOf('served'));
  for (const id of ids) await call(url, { method: 'DELETE', path: `/v2/images/${id}`, type: 'application/json' }, []);
}

/** Streams mostly zeros, with one written MiB in 64, and reports the growth of the resident memory. */
async function measureMemory(store: ImageStore, gib: number): Promise<void> {
  const digester = createDigester();
  const zeros = Buffer.alloc(MIB);
  async function* sparse(): AsyncGenerator<Uint8Array> {
    for (let mib = 0; mib < gib * 1024; mib++)
      yield await Promise.resolve(mib % 64 === 0 ? content.subarray(0, MIB) : zeros);
  }
  const before = process.memoryUsage.rss();
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
  const started = performance.now();
  const session = digester.open(OS_HASH);
  await store.put(keyOf('sparse'), session.units(sparse()), { signal: new AbortController().signal });
  await session.finish();
  await drain(store.read(keyOf('sparse'), { offsetBytes: 0, lengthBytes: gib * 1024 * MIB }, {}));
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `${`sparse ${gib} GiB up and down`.padEnd(42)}${seconds.toFixed(1)} s, memory grew by ${((peak - before) / MIB).toFixed(0)} MiB`,
  );
  await store.delete(keyOf('sparse'));
  await digester.close();
}

function* chunks(chunkBytes: number): Generator<Buffer> {
  for (let offset = 0; offset < sizeBytes; offset += chunkBytes) {
    const start = offset % content.length;
    yield content.subarray(start, start + Math.min(chunkBytes, sizeBytes - offset));
  }
}

async function* stream(chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks(chunkBytes)) yield await Promise.resolve(chunk);
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  let drained = 0;
  for await (const chunk of source) drained += chunk.length;
  if (drained === 0) throw new Error('nothing came');
}

async function fetchAndDrop(url: string): Promise<void> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { agent: false }, resolve).on('error', reject).end();
  });
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode ?? 0}`);
  await new Promise<void>((resolve, reject) => {
    response
      .on('data', () => undefined)
      .on('end', resolve)
      .on('error', reject);
  });
}

async function call(
  url: string,
  what: { readonly method: string; readonly path: string; readonly type: string },
  body: Iterable<Buffer>,
): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(`${url}${what.path}`, {
      method: what.method,
      headers: { 'content-type': what.type },
      agent: false,
    });
    outgoing.on('response', resolve).on('error', reject);
    const send = async (): Promise<void> => {
      for (const chunk of body) {
        if (!outgoing.write(chunk)) await new Promise((drained) => outgoing.once('drain', drained));
      }
      outgoing.end();
    };
    send().catch(reject);
  });
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += String(part);
  if ((response.statusCode ?? 500) >= 300)
    throw new Error(`${what.method} ${what.path}: ${response.statusCode ?? 0} ${text}`);
  return text;
}

/** Median rate of the runs in MB/s. */
async function median(run: (turn: number) => unknown): Promise<number> {
  const rates: number[] = [];
  for (let turn = 0; turn < repeats; turn++) {
    const started = performance.now();
    await run(turn);
    rates.push(sizeBytes / 1000 / (performance.now() - started));
  }
  return rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0;
}

function report(what: string, rate: number, ratio?: { readonly of: number; readonly limit: string }): void {
  const compared = ratio === undefined ? '' : `   ${(rate / ratio.of).toFixed(2)} of ${ratio.limit}`;
  console.log(`${what.padEnd(42)}${rate.toFixed(0).padStart(6)} MB/s${compared}`);
}

function keyOf(text: string): ObjectKey {
  const key = asObjectKey(text);
  if (key === undefined) throw new Error(`not a key: ${text}`);
  return key;
}
