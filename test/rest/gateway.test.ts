/** The translation alone: what the gateway asks of services that only record. */
import { once } from 'node:events';
import http from 'node:http';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServiceError } from '../../src/base/service-error.js';
import type { OpenedRead } from '../../src/gateway/byte-streams.js';
import { createGateway, type Gateway, type GatewayOptions } from '../../src/gateway/index.js';
import { createRequestMetrics } from '../../src/gateway/request-metrics.js';
import { type FakeBackend, fakeBackend, fakeImage, IMAGE_ID } from './fake-backend.js';
import { httpCall, type HttpCall } from './http-call.js';

const IMAGE_PATH = `/v2/images/${IMAGE_ID}`;
const OCTETS = { 'content-type': 'application/octet-stream' };

let backend: FakeBackend;
let gateway: Gateway;
let url: string;
let errors: object[];

async function start(options: Partial<GatewayOptions> = {}): Promise<void> {
  gateway = await createGateway(backend, {
    trustedProxies: [],
    log: { info: () => undefined, warn: () => undefined, error: (fields) => errors.push(fields) },
    readyz: () => Promise.resolve({ ok: false, parts: [{ name: 'catalog', ok: false, message: 'no' }] }),
    metrics: () => Promise.resolve('a 1\n'),
    ...options,
  });
  const { port } = await gateway.listen('127.0.0.1', 0);
  url = `http://127.0.0.1:${port}`;
}

beforeEach(() => {
  backend = fakeBackend();
  errors = [];
});
afterEach(() => gateway.close());

const call = (request: HttpCall) => httpCall(url, request);

describe('identity', () => {
  it('passes the headers of the caller as metadata', async () => {
    await start();
    const headers = {
      'x-auth-token': 't',
      'x-roles': 'a,b',
      'x-project-id': 'p',
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
    };
    await call({ path: IMAGE_PATH, headers: { ...headers, cookie: 'c', 'x-openstack-request-id': 'req-1' } });
    const metadata = Object.fromEntries(backend.calls.at(-1)?.metadata ?? []);
    expect(metadata).toEqual({ ...headers, 'x-openstack-request-id': 'req-1', 'x-oriel-relayed': 'http' });
  });

  it.each<[string, HttpCall]>([
    ['a bad body', { method: 'POST', path: '/v2/images', body: '{' }],
    ['a body too much', { path: IMAGE_PATH, body: 'x' }],
    ['a bad filter', { path: '/v2/images?limit=x' }],
    ['a bad Content-Type', { method: 'PATCH', path: IMAGE_PATH, body: [] }],
    ['a route that is none', { path: '/v2/nothing' }],
    ['a method that is none', { method: 'PUT', path: '/v2/images' }],
    ['a schema', { path: '/v2/schemas/image' }],
    ['an upload of no type', { method: 'PUT', path: `${IMAGE_PATH}/file` }],
  ])('tells 401 before %s', async (_what, request) => {
    await start();
    backend.on('getCaller', () => {
      throw new ServiceError('UNAUTHENTICATED', 'expected a token', {
        details: { www_authenticate: 'Keystone uri="http://k"' },
      });
    });
    const answer = await call(request);
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Keystone uri="http://k"']);
  });

  it('asks nobody for versions, health and metrics', async () => {
    await start();
    backend.on('getCaller', () => {
      throw new ServiceError('UNAUTHENTICATED', 'expected a token');
    });
    const statuses = ['/', '/versions', '/v2', '/healthz', '/readyz', '/metrics'].map(
      async (path) => (await call({ path })).status,
    );
    expect(await Promise.all(statuses)).toEqual([300, 200, 302, 200, 503, 200]);
  });
});

describe('errors', () => {
  it('hides what is no ServiceError and logs it', async () => {
    await start();
    backend.on('getImage', () => {
      throw new TypeError('secret');
    });
    const answer = await call({ path: IMAGE_PATH });
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('secret');
    expect(errors).toMatchObject([{ err: { message: 'secret' }, route: '/v2/images/:id' }]);
  });

  it.each([
    ['VERSION_CONFLICT', 409],
    ['LIMIT_EXCEEDED', 413],
    ['UNAVAILABLE', 503],
    ['IMAGE_GONE', 410],
  ] as const)('answers %s with %i', async (reason, status) => {
    await start();
    backend.on('getImage', () => {
      throw new ServiceError(reason, 'because');
    });
    const answer = await call({ path: IMAGE_PATH });
    expect([answer.status, answer.text.endsWith('because\n')]).toEqual([status, true]);
  });

  it('answers what is not HTTP', async () => {
    await start();
    const answer = await call({ path: '/v2/images', headers: { 'x-long': 'x'.repeat(40_000) } });
    expect([answer.status, typeof answer.headers['x-openstack-request-id']]).toEqual([431, 'string']);
    expect((await call({ path: '/v2/images/%zz' })).status).toBe(400);
  });
});

describe('links', () => {
  it('believes X-Forwarded headers of trusted proxies only', async () => {
    const headers = { host: 'inner:1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'images.example.org' };
    await start();
    expect((await call({ path: '/', headers })).text).toContain('"http://inner:1/v2/"');
    await gateway.close();
    await start({ trustedProxies: ['127.0.0.0/8'] });
    expect((await call({ path: '/', headers })).text).toContain('"https://images.example.org/v2/"');
    const created = await call({ method: 'POST', path: '/v2/images', body: {}, headers });
    expect(created.headers.location).toBe(`https://images.example.org${IMAGE_PATH}`);
    expect((await call({ path: '/', headers: { ...headers, 'x-forwarded-host': 'a b"' } })).text).toContain(
      'https://inner:1/',
    );
    await gateway.close();
    await start({ publicEndpoint: 'https://public/', trustedProxies: ['::1'] });
    expect((await call({ path: '/', headers })).text).toContain('"https://public/v2/"');
  });

  it('refuses a proxy that is no address', async () => {
    await expect(start({ trustedProxies: ['proxy.example.org'] })).rejects.toThrow('trusted_proxies');
    await start();
  });
});

describe('stores and import', () => {
  it('names stores and methods when there are several', async () => {
    const store = { description: '', default: false, readOnly: false, type: 'file' };
    backend.on('getServiceInfo', () => ({
      diskFormats: [],
      containerFormats: [],
      stores: [
        { ...store, id: 'a', default: true, description: 'first' },
        { ...store, id: 'b', readOnly: true },
      ],
      importMethods: ['web-download'],
      showMultipleLocations: false,
      hashingAlgorithm: 'sha512',
    }));
    backend.on('getImage', () => ({ image: fakeImage({ stores: ['a', 'b'] }) }));
    await start();
    const created = await call({ method: 'POST', path: '/v2/images', body: {} });
    expect(created.headers['openstack-image-import-methods']).toBe('web-download');
    expect(created.headers['openstack-image-store-ids']).toBe('a,b');
    expect(JSON.parse((await call({ path: '/v2/info/stores' })).text)).toEqual({
      stores: [
        { id: 'a', description: 'first', default: 'true' },
        { id: 'b', 'read-only': 'true' },
      ],
    });
    expect(JSON.parse((await call({ path: IMAGE_PATH })).text)).toMatchObject({ stores: 'a,b' });
    expect((await call({ path: '/v2/schemas/image' })).text).toContain('"stores"');
  });
});

describe('data', () => {
  const opened = (chunks: AsyncIterable<Uint8Array>, lengthBytes: number): OpenedRead => ({
    image: fakeImage(),
    sizeBytes: lengthBytes,
    offsetBytes: 0,
    lengthBytes,
    chunks,
  });

  it('never lets a short answer look whole', async () => {
    await start();
    backend.on('openRead', () => opened(texts('hello'), 10));
    await expect(call({ path: `${IMAGE_PATH}/file` })).rejects.toThrow();
    backend.on('openRead', () => opened(failing('hello'), 10));
    await expect(call({ path: `${IMAGE_PATH}/file` })).rejects.toThrow();
    expect(errors.length).toBe(2);
  });

  it('answers an error that comes before the first byte', async () => {
    await start();
    backend.on('openRead', () => opened(failing(), 10));
    expect((await call({ path: `${IMAGE_PATH}/file` })).status).toBe(500);
  });

  it('reads a chunk only when the one before has left', async () => {
    await start();
    const memory = Buffer.alloc(1024 * 1024);
    const reused = async function* () {
      for (let n = 0; n < 8; n += 1) {
        memory.fill(n);
        yield await Promise.resolve(memory);
      }
    };
    backend.on('openRead', () => opened(reused(), 8 * memory.length));
    const { bytes } = await call({ path: `${IMAGE_PATH}/file` });
    for (let n = 0; n < 8; n += 1) expect(bytes[n * memory.length + 7]).toBe(n);
    expect(bytes.length).toBe(8 * memory.length);
  });

  it('ends the read when the client goes away', async () => {
    await start();
    let ended = (): void => undefined;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const endless = async function* () {
      try {
        for (;;) yield await Promise.resolve(Buffer.alloc(64 * 1024));
      } finally {
        ended();
      }
    };
    backend.on('openRead', () => opened(endless(), 2 ** 40));
    const request = http.get(`${url}${IMAGE_PATH}/file`, { agent: false });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.destroy();
    await end;
    expect(errors).toEqual([]);
  });

  it('tells the service when the client of an upload goes away', async () => {
    await start();
    let failed: (error: unknown) => void = () => undefined;
    const failure = new Promise((resolve) => {
      failed = resolve;
    });
    const write = async ({ source }: { source: AsyncIterable<Uint8Array> }): Promise<never> => {
      try {
        for await (const chunk of source) request.destroy(chunk.length > 0 ? undefined : new Error('empty'));
      } catch (error) {
        failed(error);
        throw error;
      }
      throw new Error('the source ended');
    };
    backend.on('write', write);
    const request = http.request(`${url}${IMAGE_PATH}/file`, {
      method: 'PUT',
      headers: { ...OCTETS, 'content-length': '1000' },
      agent: false,
    });
    request.on('error', () => undefined);
    request.write('some');
    expect(await failure).toMatchObject({ reason: 'CANCELLED' });
    expect(errors).toEqual([]);
  });

  it('gives up a client that sends nothing', async () => {
    await start({ idleMs: 50 });
    const write = async ({ source }: { source: AsyncIterable<Uint8Array> }): Promise<void> => {
      for await (const chunk of source) expect(chunk.length).toBeGreaterThan(0);
    };
    backend.on('write', write);
    const request = http.request(`${url}${IMAGE_PATH}/file`, {
      method: 'PUT',
      headers: { ...OCTETS, 'content-length': '1000' },
      agent: false,
    });
    request.write('some');
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect(response.statusCode).toBe(504);
    response.resume();
    await once(response, 'close');
  });
});

describe('operation', () => {
  it('counts requests by route', async () => {
    const registry = new Registry();
    await start({ observe: createRequestMetrics(registry), metrics: () => registry.metrics() });
    await call({ path: IMAGE_PATH });
    await call({ path: '/v2/images/a/b/c' });
    const text = (await call({ path: '/metrics' })).text;
    expect(text).toContain(
      'oriel_http_request_duration_seconds_count{route="/v2/images/:id",method="GET",status="200"} 1',
    );
    expect(text).toContain('route="/v2/*",method="GET",status="404"} 1');
  });

  it('lets a running request finish when it closes', async () => {
    await start();
    let release = (): void => undefined;
    let asked = (): void => undefined;
    const entered = new Promise<void>((resolve) => {
      asked = resolve;
    });
    backend.on('getImage', async () => {
      asked();
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return undefined;
    });
    const running = call({ path: IMAGE_PATH });
    await entered;
    const closed = gateway.close();
    release();
    expect((await running).status).toBe(200);
    await closed;
    await start();
  });

  it('cuts requests that do not finish', async () => {
    await start({ drainMs: 20 });
    backend.on('getImage', () => new Promise(() => undefined));
    const running = call({ path: IMAGE_PATH });
    const cut = expect(running).rejects.toThrow();
    await expect.poll(() => backend.calls.some(({ method }) => method === 'getImage')).toBe(true);
    await gateway.close();
    await cut;
    await start();
  });
});

async function* texts(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

async function* failing(...parts: string[]): AsyncGenerator<Uint8Array> {
  yield* texts(...parts);
  throw new Error('the disk broke');
}
