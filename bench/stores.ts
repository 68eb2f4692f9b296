/**
 * Object stores against their limits in the same run: an upload of Oriel's store against `swift upload` of python3-swiftclient, a
 * download against the same bytes piped by a bare node:http client. Needs the Debian packages of scripts/test and
 * python3-swiftclient.
 *
 *   node dist/bench/stores.js [--mib 256] [--repeats 5]
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ImageStore } from '../src/application/ports/image-store.js';
import { asObjectKey, asStoreId } from '../src/base/brand.js';
import { MIB } from '../src/base/units.js';
import { readAhead } from '../src/hostfs/read-ahead.js';
import { openS3Store } from '../src/stores/s3/s3-store.js';
import { openSwiftStore } from '../src/stores/swift/swift-store.js';
import { startSwift, type TestSwift } from '../test/support/swift.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { Report } from './support/report.js';

const { values: options } = parseArgs({
  options: { mib: { type: 'string', default: '256' }, repeats: { type: 'string', default: '5' } },
});
const sizeBytes = Number(options.mib) * MIB;
const report = new Report('stores');
const folder = await tempFolder('bench-stores');
const file = join(folder.path, 'object');
const swift = await startSwift();
try {
  await main();
} finally {
  await swift.stop();
  await folder.remove();
}

async function main(): Promise<void> {
  await writeFile(file, randomBytes(sizeBytes));
  await writeFile(join(folder.path, 'key'), swift.key, { mode: 0o600 });
  const keys = `aws_access_key_id = ${swift.user}\naws_secret_access_key = ${swift.key}\n`;
  await writeFile(join(folder.path, 'keys'), keys, { mode: 0o600 });
  await swift.request('PUT', '/bucket');
  const stores: readonly (readonly [string, ImageStore, string])[] = [
    [
      'Swift',
      await openSwiftStore({ id: asStoreId('swift'), ...loginOf(swift), container: 'images', authVersion: '1' }),
      'images',
    ],
    [
      'S3',
      await openS3Store({
        ...{ id: asStoreId('s3'), endpoint: swift.url, bucket: 'bucket', region: 'us-east-1' },
        credentialsFile: join(folder.path, 'keys'),
      }),
      'bucket',
    ],
  ];
  for (const [name, store, container] of stores) await compare(name, store, container);
  report.save();
}

function loginOf({ authUrl, user }: TestSwift) {
  return { authUrl, user, keyFile: join(folder.path, 'key') };
}

async function compare(name: string, store: ImageStore, container: string): Promise<void> {
  const rates = { up: [] as number[], client: [] as number[], down: [] as number[], bare: [] as number[] };
  const { token, storageUrl } = await signIn();
  for (let turn = 0; turn < Number(options.repeats); turn += 1) {
    const key = keyOf(`bench/${turn}`);
    rates.up.push(await rateOf(() => put(store, key)));
    rates.client.push(await rateOf(() => upload(`client-${turn}`)));
    const range = { offsetBytes: 0, lengthBytes: sizeBytes };
    rates.down.push(await rateOf(() => drain(store.read(key, range, {}))));
    rates.bare.push(await rateOf(() => fetchBare(`${storageUrl}/${container}/bench/${turn}`, token)));
    await store.delete(key);
  }
  const limit = [
    { subject: 'Oriel', values: rates.up },
    { subject: 'swiftclient', values: rates.client },
  ];
  report.add(`${name}: upload ${options.mib} MiB`, 'MB/s', limit, '≥ 0.8');
  const pipe = [
    { subject: 'Oriel', values: rates.down },
    { subject: 'node:http', values: rates.bare },
  ];
  report.add(`${name}: download ${options.mib} MiB`, 'MB/s', pipe, '≥ 0.8');
}

async function put(store: ImageStore, key: ReturnType<typeof keyOf>): Promise<void> {
  const handle = await open(file);
  try {
    const source = readAhead(handle, { offsetBytes: 0, lengthBytes: sizeBytes });
    await store.put(key, source, { signal: new AbortController().signal });
  } finally {
    await handle.close();
  }
}

/** The client's command, with segments of the same size. */
async function upload(name: string): Promise<void> {
  const args = ['-A', swift.authUrl, '-U', swift.user, '-K', swift.key, 'upload', '--use-slo', '-S', String(8 * MIB)];
  const child = spawn('/usr/bin/swift', [...args, '--object-name', name, 'client', file], { stdio: 'ignore' });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`swift upload ended with ${String(code)}`);
}

async function signIn(): Promise<{ readonly token: string; readonly storageUrl: string }> {
  const answer = await fetch(swift.authUrl, { headers: { 'x-auth-user': swift.user, 'x-auth-key': swift.key } });
  return { token: answer.headers.get('x-auth-token') ?? '', storageUrl: answer.headers.get('x-storage-url') ?? '' };
}

function fetchBare(url: string, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = get(url, { agent: false, headers: { 'x-auth-token': token } }, (response) => {
      response.on('data', () => undefined);
      response.once('end', resolve);
      response.once('error', reject);
    });
    asking.once('error', reject);
  });
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  let cameBytes = 0;
  for await (const chunk of chunks) cameBytes += chunk.length;
  if (cameBytes !== sizeBytes) throw new Error(`${cameBytes} of ${sizeBytes} bytes came`);
}

/** MB/s. */
async function rateOf(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return sizeBytes / 1000 / (performance.now() - started);
}

function keyOf(text: string): NonNullable<ReturnType<typeof asObjectKey>> {
  const key = asObjectKey(text);
  if (key === undefined) throw new Error(`not a key: ${text}`);
  return key;
}
