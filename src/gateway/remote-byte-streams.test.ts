import { randomBytes } from 'node:crypto';
import { Metadata } from 'nice-grpc-common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeBackend, fakeBackend, fakeImage, IMAGE_ID } from '../../test/rest/fake-backend.js';
import { ServiceError } from '../base/service-error.js';
import type { CallOptions, OpenedRead } from './byte-streams.js';
import { createGateway, type Gateway } from './gateway.js';
import { createRemoteByteStreams, type RemoteByteStreams } from './remote-byte-streams.js';

let backend: FakeBackend;
let gateway: Gateway;
let remote: RemoteByteStreams;
let errors: object[];

beforeEach(async () => {
  backend = fakeBackend();
  errors = [];
  gateway = await createGateway(backend, {
    trustedProxies: [],
    log: { info: () => undefined, warn: () => undefined, error: (fields) => errors.push(fields) },
    readyz: () => Promise.resolve({ ok: true, parts: [] }),
    metrics: () => Promise.resolve(''),
    serveNodeBytes: true,
  });
  const { port } = await gateway.listen('127.0.0.1', 0);
  remote = createRemoteByteStreams({ baseUrl: `http://127.0.0.1:${port}` });
});
afterEach(async () => {
  remote.close();
  await gateway.close();
});

function options(signal: AbortSignal = new AbortController().signal): CallOptions {
  return { metadata: new Metadata({ 'x-auth-token': 'secret', 'x-roles': 'member' }), signal };
}

async function* parts(bytes: Buffer, partBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += partBytes) yield await Promise.resolve(bytes.subarray(at, at + partBytes));
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = [];
  for await (const chunk of chunks) collected.push(chunk);
  return Buffer.concat(collected);
}

type Write = { source: AsyncIterable<Uint8Array>; imageId: string; sizeBytes: number | null; storeId: string | null };

describe('openRead', () => {
  it('gives the image, the place and the bytes', async () => {
    const bytes = randomBytes(3_000_000);
    const image = fakeImage({ name: 'ümläut', properties: new Map([['long', 'x'.repeat(60_000)]]) });
    const opened: OpenedRead = {
      image,
      sizeBytes: 9_000_000,
      offsetBytes: 5,
      lengthBytes: bytes.length,
      chunks: parts(bytes, 1_000_000),
    };
    backend.on('openRead', () => opened);
    const range = { kind: 'from', firstByte: 5, lastByte: 3_000_004 } as const;
    const read = await remote.openRead({ imageId: IMAGE_ID, range }, options());
    expect(read).toMatchObject({ image, sizeBytes: 9_000_000, offsetBytes: 5, lengthBytes: bytes.length });
    expect((await collect(read?.chunks ?? parts(bytes, 1))).equals(bytes)).toBe(true);
    expect(backend.lastRequest('openRead')).toEqual({ imageId: IMAGE_ID, range, prefer: [] });
    expect(backend.calls.at(-1)?.metadata.get('x-auth-token')).toBe('secret');
  });

  it.each([null, { kind: 'suffix', lengthBytes: 7 }, { kind: 'from', firstByte: 3, lastByte: null }] as const)(
    'passes the range %j and says that there is no data',
    async (range) => {
      const prefer = ['fast', 'a b'];
      expect(await remote.openRead({ imageId: IMAGE_ID, range, prefer }, options())).toBeUndefined();
      expect(backend.lastRequest('openRead')).toEqual({ imageId: IMAGE_ID, range, prefer });
    },
  );

  it('fails for the reason that the node gives', async () => {
    backend.on('openRead', () => {
      throw new ServiceError('RANGE_INVALID', 'outside', { details: { content_range: 'bytes */3' } });
    });
    await expect(remote.openRead({ imageId: 'a/b?c', range: null }, options())).rejects.toMatchObject({
      reason: 'NOT_FOUND',
    });
    await expect(remote.openRead({ imageId: IMAGE_ID, range: null }, options())).rejects.toMatchObject({
      reason: 'RANGE_INVALID',
      message: 'outside',
      details: { content_range: 'bytes */3' },
    });
  });

  it('notices data that breaks off', async () => {
    backend.on('openRead', () => ({
      image: fakeImage(),
      sizeBytes: 10,
      offsetBytes: 0,
      lengthBytes: 10,
      chunks: parts(Buffer.from('short'), 5),
    }));
    const read = await remote.openRead({ imageId: IMAGE_ID, range: null }, options());
    await expect(collect(read?.chunks ?? parts(Buffer.alloc(0), 1))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(errors).toHaveLength(1);
  });

  it('is cancelled by its signal', async () => {
    backend.on('openRead', () => new Promise(() => undefined));
    const controller = new AbortController();
    const opening = remote.openRead({ imageId: IMAGE_ID, range: null }, options(controller.signal));
    const refused = expect(opening).rejects.toMatchObject({ reason: 'CANCELLED' });
    controller.abort();
    await refused;
  });

  it('says that a node cannot be reached', async () => {
    const nowhere = createRemoteByteStreams({ baseUrl: 'http://127.0.0.1:1' });
    await expect(nowhere.openRead({ imageId: IMAGE_ID, range: null }, options())).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
    });
  });
});

describe('write', () => {
  it.each([null, 2_500_000])('stores the bytes, announced as %s', async (sizeBytes) => {
    const bytes = randomBytes(2_500_000);
    let stored: Uint8Array = new Uint8Array();
    backend.on('write', async (request: Write) => {
      stored = await collect(request.source);
    });
    const request = { imageId: IMAGE_ID, sizeBytes, storeId: 'file' };
    const image = await remote.write(request, parts(bytes, 65_536), options());
    expect(image.id).toBe(IMAGE_ID);
    expect(bytes.equals(stored)).toBe(true);
    expect(backend.lastRequest('write')).toMatchObject(request);
  });

  it('stores nothing as nothing', async () => {
    backend.on('write', async (request: Write) => {
      expect(await collect(request.source)).toHaveLength(0);
    });
    const request = { imageId: IMAGE_ID, sizeBytes: 0, storeId: null };
    expect((await remote.write(request, parts(Buffer.alloc(0), 1), options())).id).toBe(IMAGE_ID);
  });

  it('leaves the source untouched when the node refuses', async () => {
    backend.on('write', () => {
      throw new ServiceError('STATE_CONFLICT', 'not queued');
    });
    let touched = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      touched = true;
      yield await Promise.resolve(Buffer.from('x'));
    };
    const request = { imageId: IMAGE_ID, sizeBytes: 1, storeId: null };
    await expect(remote.write(request, source(), options())).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
    expect(touched).toBe(false);
  });

  it('stops the source when the node refuses in the middle', async () => {
    backend.on('write', async ({ source }: Write) => {
      for await (const chunk of source) if (chunk.length > 0) throw new ServiceError('LIMIT_EXCEEDED', 'full');
    });
    let ended = false;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield await Promise.resolve(Buffer.alloc(65_536));
      } finally {
        ended = true;
      }
    };
    const request = { imageId: IMAGE_ID, sizeBytes: null, storeId: null };
    await expect(remote.write(request, endless(), options())).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    expect(ended).toBe(true);
  });

  it('breaks the write off when the source fails', async () => {
    let failure: unknown;
    backend.on('write', async ({ source }: Write) => {
      await collect(source).catch((error: unknown) => {
        failure = error;
        throw error;
      });
    });
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('x'));
      throw new ServiceError('CANCELLED', 'the client went away');
    };
    const request = { imageId: IMAGE_ID, sizeBytes: null, storeId: null };
    await expect(remote.write(request, broken(), options())).rejects.toMatchObject({ message: 'the client went away' });
    await expect.poll(() => failure).toMatchObject({ reason: 'CANCELLED' });
  });
});
