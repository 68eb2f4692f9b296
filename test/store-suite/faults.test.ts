/** Object services that fail, stall, lie and break off: a clear error within the time-outs, and nothing left behind. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import type { Timeouts } from '../../src/stores/remote/transport.js';
import { openS3Store } from '../../src/stores/s3/s3-store.js';
import { openSwiftStore } from '../../src/stores/swift/swift-store.js';
import { type ObjectServer, startObjectServer, type Trouble } from '../support/object-server.js';
import { tempFolder } from '../support/temp-folder.js';
import { keyOf } from './large-objects.js';

const TIMEOUTS: Timeouts = { connectMs: 500, answerMs: 1000, idleMs: 300, leastBytesPerSecond: 4096, backoffMs: 5 };
const key = keyOf('image/data');
const PATH = '/bucket/image/data';
const signal = new AbortController().signal;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let server: ObjectServer;
let s3: ImageStore;
let swift: ImageStore;

beforeAll(async () => {
  folder = await tempFolder('faults');
  const keys = 'aws_access_key_id = AKID\naws_secret_access_key = s3cret-key\n';
  await writeFile(join(folder.path, 'keys'), keys, { mode: 0o600 });
  await writeFile(join(folder.path, 'key'), 'sw1ft-key', { mode: 0o600 });
});
afterAll(() => folder.remove());
beforeEach(async () => {
  server = await startObjectServer();
  const common = { id: asStoreId('shaky'), timeouts: TIMEOUTS };
  const credentialsFile = join(folder.path, 'keys');
  s3 = await openS3Store({ ...common, endpoint: server.url, bucket: 'bucket', region: 'r', credentialsFile });
  swift = await openSwiftStore({
    ...{ ...common, authUrl: `${server.url}/auth`, user: 'a:u', keyFile: join(folder.path, 'key') },
    ...{ container: 'bucket', authVersion: '1' },
  });
});
afterEach(() => server.close());

/** Trouble for the first `times` requests of this kind. */
function troubleFor(method: string, times: number, trouble: Trouble, part = ''): void {
  let left = times;
  server.trouble = (request) => {
    if (request.method !== method || !request.url.includes(part) || left <= 0) return undefined;
    left -= 1;
    return trouble;
  };
}

async function put(store: ImageStore, bytes: Buffer): Promise<{ readonly sizeBytes: number }> {
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += MIB) yield await Promise.resolve(bytes.subarray(at, at + MIB));
  }
  return store.put(key, source(), { signal });
}

async function read(store: ImageStore, lengthBytes: number, offsetBytes = 0): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of store.read(key, { offsetBytes, lengthBytes }, {})) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

const always = Number.POSITIVE_INFINITY;

test.each<[string, Trouble]>([
  ['500', { status: 500 }],
  ['503', { status: 503 }],
  ['a reset', { kind: 'reset' }],
  ['silence', { kind: 'stall' }],
  ['a break in the middle of a part', { kind: 'break-request', afterBytes: MIB }],
  ['a lost answer', { kind: 'lose-answer' }],
])('a part is sent again after %s', async (_name, trouble) => {
  const bytes = randomBytes(18 * MIB);
  troubleFor('PUT', 2, trouble, 'partNumber=2');
  expect(await put(s3, bytes)).toEqual({ sizeBytes: bytes.length });
  expect(server.objects.get(PATH)?.equals(bytes)).toBe(true);
});

test('what fails for good is UNAVAILABLE, names store and cause, and leaves no upload', async () => {
  troubleFor('PUT', always, { status: 503 }, 'partNumber=2');
  const failure: unknown = await put(s3, randomBytes(18 * MIB)).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    reason: 'UNAVAILABLE',
    message: expect.stringMatching(/store shaky.*503/) as string,
  });
  expect(String(failure)).not.toContain('s3cret');
  expect(server.uploads.size).toBe(0);
  expect(server.objects.size).toBe(0);
});

test.each<[string, Trouble, string]>([
  ['413', { status: 413 }, 'LIMIT_EXCEEDED'],
  ['507', { status: 507 }, 'LIMIT_EXCEEDED'],
  ['403 QuotaExceeded', { status: 403, body: '<Error><Code>QuotaExceeded</Code></Error>' }, 'LIMIT_EXCEEDED'],
  ['403', { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }, 'UNAVAILABLE'],
  ['404', { status: 404, body: '<Error><Code>NoSuchBucket</Code></Error>' }, 'UNAVAILABLE'],
  ['418', { status: 418 }, 'UPSTREAM_FAILED'],
])('a put that is answered %s', async (_name, trouble, reason) => {
  troubleFor('PUT', always, trouble);
  await expect(put(s3, randomBytes(10))).rejects.toMatchObject({ reason });
  expect(server.objects.size).toBe(0);
});

test.each([
  ['one part', 100],
  ['several parts', 9 * MIB],
])('an object of %s whose publication lost its answer is ours all the same', async (_name, sizeBytes) => {
  const bytes = randomBytes(sizeBytes);
  server.trouble = ({ method, url }) => {
    const publishes = url === PATH ? method === 'PUT' : method === 'POST' && url.includes('uploadId');
    if (!publishes) return undefined;
    server.trouble = () => undefined;
    return { kind: 'lose-answer' };
  };
  expect(await put(s3, bytes)).toEqual({ sizeBytes });
  expect(server.objects.get(PATH)?.equals(bytes)).toBe(true);
});

test('a completion that fails after "200 OK" is an error', async () => {
  troubleFor('POST', always, { status: 200, body: '<Error><Code>InternalError</Code></Error>' }, 'uploadId');
  await expect(put(s3, randomBytes(9 * MIB))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  expect(server.uploads.size).toBe(0);
});

test.each<[string, Trouble]>([
  ['breaks', { kind: 'break-answer', afterBytes: 3 * MIB + 5 }],
  ['stalls', { kind: 'stall-answer', afterBytes: 3 * MIB + 5 }],
  ['trickles', { kind: 'trickle-answer', afterBytes: 3 * MIB + 5 }],
])('a read goes on from the exact byte when an answer %s', async (_name, trouble) => {
  const bytes = randomBytes(10 * MIB + 1);
  server.objects.set(PATH, bytes);
  troubleFor('GET', 2, trouble);
  expect((await read(s3, 10 * MIB, 1)).equals(bytes.subarray(1))).toBe(true);
  const ranges = server.requests.filter(({ method }) => method === 'GET').map(({ headers }) => headers.range);
  expect(ranges[0]).toBe(`bytes=1-${10 * MIB}`);
  expect(ranges.length).toBe(3);
});

test.each<[string, Trouble, string]>([
  ['500', { status: 500 }, 'UNAVAILABLE'],
  ['silence', { kind: 'stall' }, 'UNAVAILABLE'],
  ['a body that breaks at once', { kind: 'break-answer', afterBytes: 10 }, 'UNAVAILABLE'],
  ['a body that trickles', { kind: 'trickle-answer', afterBytes: 10 }, 'UNAVAILABLE'],
  ['a length that is too small', { kind: 'claim-length', lengthBytes: 10 }, 'UPSTREAM_FAILED'],
  ['a length that is too large', { kind: 'claim-length', lengthBytes: 2 * MIB }, 'UPSTREAM_FAILED'],
])('a read that always meets %s ends', async (_name, trouble, reason) => {
  server.objects.set(PATH, randomBytes(MIB));
  troubleFor('GET', always, trouble);
  await expect(read(s3, MIB)).rejects.toMatchObject({ reason });
});

test('an object that was replaced while it is read is DATA_CORRUPT', async () => {
  server.objects.set(PATH, randomBytes(4 * MIB));
  server.trouble = ({ method }) => {
    if (method !== 'GET') return undefined;
    server.trouble = () => undefined;
    setTimeout(() => server.objects.set(PATH, randomBytes(4 * MIB)), 0);
    return { kind: 'break-answer', afterBytes: 2 * MIB };
  };
  await expect(read(s3, 4 * MIB)).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
});

test('an abort ends a put to a service that is silent', async () => {
  troubleFor('PUT', always, { kind: 'stall' });
  const controller = new AbortController();
  async function* source(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('x'));
    setTimeout(() => controller.abort(new Error('the caller left')), 20);
  }
  await expect(s3.put(key, source(), { signal: controller.signal })).rejects.toThrow('the caller left');
});

test('a service that is not there is UNAVAILABLE, for each call', async () => {
  await server.close();
  const bad = { reason: 'UNAVAILABLE', message: expect.stringContaining('store shaky') as string };
  await expect(s3.check()).rejects.toMatchObject(bad);
  await expect(put(s3, Buffer.from('x'))).rejects.toMatchObject(bad);
  await expect(read(s3, 1)).rejects.toMatchObject(bad);
  await expect(s3.delete(key)).rejects.toMatchObject(bad);
  await expect(swift.check()).rejects.toMatchObject(bad);
  server = await startObjectServer();
});

test('Swift: a token that is refused once is renewed, by one login for all', async () => {
  server.objects.set(PATH, Buffer.from('bytes'));
  expect((await read(swift, 5)).toString()).toBe('bytes');
  let refused = 0;
  server.trouble = ({ url }) => (url !== '/auth' && refused++ < 3 ? { status: 401 } : undefined);
  const reads = await Promise.all([1, 2, 3].map(() => read(swift, 5)));
  expect(reads.map(String)).toEqual(['bytes', 'bytes', 'bytes']);
  expect(server.requests.filter(({ url }) => url === '/auth').length).toBeLessThanOrEqual(4);
});

test('Swift: a token that is refused for ever, and a login that is, end as UNAVAILABLE without the key', async () => {
  server.trouble = ({ url }) => (url === '/auth' ? undefined : { status: 401 });
  await expect(read(swift, 5)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  server.trouble = () => ({ status: 401 });
  const failure: unknown = await read(swift, 5).catch((error: unknown) => error);
  expect(failure).toMatchObject({ reason: 'UNAVAILABLE' });
  expect(JSON.stringify(failure) + String(failure)).not.toContain('sw1ft-key');
});

test('Swift: a service without large objects is found out, and keeps no manifest as an object', async () => {
  await expect(put(swift, randomBytes(9 * MIB))).rejects.toMatchObject({ reason: 'UPSTREAM_FAILED' });
  expect(server.objects.has(PATH)).toBe(false);
});
