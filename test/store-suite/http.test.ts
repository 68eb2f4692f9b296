/** The store suite over a real HTTP server, as far as it holds for a store that is only read; and servers that misbehave. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import { FetchGuard, type FetchRules } from '../../src/stores/guard/fetch-guard.js';
import { HttpStore } from '../../src/stores/http/http-store.js';
import { TIMEOUTS, type Timeouts } from '../../src/stores/remote/transport.js';
import { type ObjectServer, startObjectServer, type Trouble } from '../support/object-server.js';
import { readOnlySuite } from './store-suite.js';

const SHORT: Timeouts = { connectMs: 500, answerMs: 1000, idleMs: 300, leastBytesPerSecond: 4096, backoffMs: 5 };
const RULES: FetchRules = {
  ...{ allowedSchemes: ['http', 'https'], allowedPorts: [], allowedHosts: ['127.0.0.1'] },
  ...{ allowPrivateAddresses: false, mostBytes: 1024 * MIB },
};

function storeOf(rules: FetchRules = RULES, timeouts: Timeouts = SHORT): HttpStore {
  return new HttpStore(asStoreId('web'), new FetchGuard({ rules, log: { info: () => undefined }, timeouts }));
}

readOnlySuite('http', async () => {
  const server = await startObjectServer();
  const store = storeOf(RULES, TIMEOUTS);
  return {
    ...{ store, missing: store.locate(`${server.url}/mirror/nothing`), dispose: () => server.close() },
    place: (name, bytes) => {
      server.objects.set(`/mirror/${name}`, bytes);
      return Promise.resolve(store.locate(`${server.url}/mirror/${name}`));
    },
    remove: (key) => Promise.resolve(server.objects.delete(new URL(store.url(key)).pathname)),
  };
});

test.each(['private_token', 'auth', 'jwt', 'Key-Pair-Id', 'Policy', 'X-Amz-Signature'])(
  'a URL with %s in its query is refused',
  (name) => {
    expect(() => storeOf().locate(`http://h.example/a?${name}=x`)).toThrow(/no signature, key or token/);
  },
);

describe('an http store', () => {
  const bytes = randomBytes(4 * MIB + 9);
  let server: ObjectServer;
  let url = '';
  beforeEach(async () => {
    server = await startObjectServer();
    server.objects.set('/mirror/a', bytes);
    url = `${server.url}/mirror/a`;
  });
  afterEach(() => server.close());

  const read = async (offsetBytes: number, lengthBytes: number, store = storeOf()): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for await (const chunk of store.read(store.locate(url), { offsetBytes, lengthBytes }, {}))
      parts.push(Buffer.from(chunk));
    return Buffer.concat(parts);
  };
  const size = (store = storeOf()) => store.stat(store.locate(url));
  const always = (trouble: Trouble, method = 'GET'): void => {
    server.trouble = (request) => (request.method === method ? trouble : undefined);
  };

  test('names objects by their URLs, and says what is wrong with one', () => {
    const store = storeOf({ ...RULES, allowedPorts: [80] });
    expect(store.sourceOf(store.locate('http://h.example/a'))).toBe('h.example');
    expect(store.url(store.locate('http://h.example/a b'.replace(' ', '%20')))).toBe('http://h.example/a%20b');
    expect(() => store.locate('http://h.example:81/')).toThrow(/ports 80/);
    expect(() => store.locate('http://127.1/')).toThrow(/IPv4 address such as/);
    for (const query of ['X-Amz-Signature=1', 'temp_url_sig=1&temp_url_expires=2', 'a=1&token=s3cret', 'Password=x'])
      expect(() => store.locate(`http://h.example/a?${query}`)).toThrow(/no signature, key or token/);
    expect(store.locate('http://h.example/a?version=3')).toBe('http/h.example/a_3Fversion_3D3');
  });

  test('finds the size by the first byte where a server has no HEAD, or none with a size', async () => {
    for (const trouble of [
      { status: 405 },
      { status: 200, headers: { 'transfer-encoding': 'chunked' } },
      { status: 403 },
    ]) {
      always(trouble, 'HEAD');
      expect(await size()).toEqual({ sizeBytes: bytes.length });
    }
    server.trouble = ({ method }) =>
      method === 'HEAD' ? { status: 501 } : { status: 200, headers: { 'content-length': '5' } };
    expect(await size()).toEqual({ sizeBytes: 5 });
    server.trouble = ({ method }) =>
      method === 'HEAD' ? { status: 501 } : { status: 416, headers: { 'content-range': 'bytes */0' } };
    expect(await size()).toEqual({ sizeBytes: 0 });
    always({ status: 200, headers: { 'content-length': '0' } }, 'HEAD');
    expect(await size()).toEqual({ sizeBytes: bytes.length });
    server.trouble = ({ method }) =>
      method === 'HEAD' ? { status: 200, headers: { 'content-length': '0' } } : { status: 416 };
    expect(await size()).toEqual({ sizeBytes: 0 });
    server.trouble = () => ({ status: 410 });
    expect(await size()).toBeUndefined();
    server.trouble = () => ({ status: 403, body: 'internal: s3cret' });
    await expect(size()).rejects.toMatchObject({
      reason: 'UPSTREAM_FAILED',
      message: expect.not.stringMatching(/s3cret|403/) as string,
    });
    server.trouble = () => ({ status: 200, headers: { 'transfer-encoding': 'chunked' } });
    await expect(size()).rejects.toThrow(/does not tell the size/);
  });

  test('of a server without ranges drops what comes before, unless that is much', async () => {
    const text = 'x'.repeat(1000) + 'y'.repeat(1000) + 'z'.repeat(1000);
    always({ status: 200, body: text, headers: { 'content-length': '3000' } });
    expect((await read(0, 3000)).toString()).toBe(text);
    expect((await read(0, 1000)).toString()).toBe('x'.repeat(1000));
    expect((await read(900, 1200)).toString()).toBe(text.slice(900, 2100));
    expect((await read(2999, 1)).toString()).toBe('z');
    for (const [offset, length] of [
      [0, 4000],
      [2000, 1001],
      [3000, 1],
      [5000, 1],
    ] as const)
      await expect(read(offset, length)).rejects.toMatchObject({ reason: 'RANGE_INVALID' });
    always({ status: 200, body: 'x', headers: { 'content-length': '70000000' } });
    await expect(read(68_000_000, 1000)).rejects.toMatchObject({
      reason: 'UPSTREAM_FAILED',
      message: expect.stringContaining('does not give the range') as string,
    });
  });

  test('goes on at the byte where a connection broke, by other attempts after 500, and not for ever', async () => {
    let turns = 0;
    server.trouble = () =>
      ++turns <= 2 ? { kind: 'break-answer', afterBytes: MIB + 5 } : turns === 3 ? { status: 500 } : undefined;
    expect((await read(0, bytes.length)).equals(bytes)).toBe(true);
    server.requests.length = 0;
    always({ kind: 'break-answer', afterBytes: 10 });
    await expect(read(0, bytes.length)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    always({ status: 503, body: 's3cret' });
    await expect(read(0, 10)).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.not.stringContaining('s3cret') as string,
    });
    expect(server.requests.length).toBeLessThan(20);
  });

  test.each<[string, Trouble, string]>([
    ['stalls', { kind: 'stall-answer', afterBytes: 5 }, 'UNAVAILABLE'],
    ['trickles (slow loris)', { kind: 'trickle-answer', afterBytes: 5 }, 'UNAVAILABLE'],
    ['says nothing', { kind: 'stall' }, 'UNAVAILABLE'],
    ['resets', { kind: 'reset' }, 'UNAVAILABLE'],
    ['claims more bytes than it sends', { kind: 'claim-length', lengthBytes: bytes.length + 5 }, 'UPSTREAM_FAILED'],
    ['claims fewer bytes than it sends', { kind: 'claim-length', lengthBytes: 10 }, 'UPSTREAM_FAILED'],
    ['answers with another range', { status: 206, headers: { 'content-range': 'bytes 5-9/10' } }, 'UPSTREAM_FAILED'],
    ['answers with an encoding', { status: 206, headers: { 'content-encoding': 'gzip' } }, 'UNAVAILABLE'],
    ['refuses', { status: 403 }, 'UPSTREAM_FAILED'],
  ])('fails in bounded time when the server %s', async (_, trouble, reason) => {
    always(trouble);
    await expect(read(0, bytes.length)).rejects.toMatchObject({ reason });
  });

  test.each([
    ['other bytes of the same size', randomBytes(bytes.length)],
    ['fewer bytes', bytes.subarray(0, 2 * MIB)],
    ['more bytes', Buffer.concat([bytes, bytes])],
  ])('notices that the object was replaced by %s while it was read', async (_, next) => {
    server.trouble = (_request, count) => {
      if (count > 1) server.objects.set('/mirror/a', next);
      return count === 1 ? { kind: 'break-answer', afterBytes: 3 * MIB } : undefined;
    };
    await expect(read(0, bytes.length)).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
  });

  test('follows a mirror that redirects, and sends no credentials to anybody', async () => {
    server.trouble = ({ url: asked }) =>
      asked === '/go/a' ? { status: 302, headers: { location: '/mirror/a' } } : undefined;
    url = `${server.url}/go/a`;
    expect((await read(5, 100)).equals(bytes.subarray(5, 105))).toBe(true);
    for (const { headers } of server.requests)
      expect(Object.keys(headers).sort()).toEqual(['accept-encoding', 'connection', 'host', 'range']);
  });
});
