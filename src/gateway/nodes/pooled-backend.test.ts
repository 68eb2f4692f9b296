/** What a pool does that real nodes do not show at will; test/e2e/gateway-failover.test.ts has those. */
import { Metadata } from 'nice-grpc-common';
import { describe, expect, it } from 'vitest';
import { ServiceError, UNREACHABLE } from '../../base/service-error.js';
import { Image } from '../../gen/oriel/catalog/v1/image.js';
import type { OpenedRead, RangeRequest } from '../byte-streams.js';
import type { GatewayBackend } from '../gateway-options.js';
import { CallerPositions } from './caller-positions.js';
import type { GatewayNode } from './node-pool.js';
import { createPooledBackend } from './pooled-backend.js';

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };
const lost = (): ServiceError => new ServiceError('UNAVAILABLE', 'no answer', { details: UNREACHABLE });
const call = () => ({ metadata: new Metadata(), signal: new AbortController().signal });

/** A node of which only what is given can be called. */
function nodeOf(name: string, parts: { [Part in keyof GatewayBackend]?: Partial<GatewayBackend[Part]> }): GatewayNode {
  const backend = parts as unknown as GatewayBackend;
  return { name, backend, check: () => Promise.resolve(), renew: () => Promise.resolve(false) };
}

function opened(text: string, offsetBytes: number, breaks: boolean, checksum = 'a'): OpenedRead {
  const rest = Buffer.from(text).subarray(offsetBytes);
  return {
    ...{ image: Image.fromPartial({ checksum }), sizeBytes: text.length, offsetBytes, lengthBytes: rest.length },
    chunks: (async function* () {
      yield await Promise.resolve(breaks ? rest.subarray(0, 3) : rest);
      if (breaks) throw lost();
    })(),
  };
}

function reader(name: string, read: (firstByte: number) => OpenedRead): GatewayNode {
  const openRead = (request: { readonly range: RangeRequest | null }): Promise<OpenedRead> =>
    Promise.resolve(read(request.range?.kind === 'from' ? request.range.firstByte : 0));
  return nodeOf(name, { bytes: { openRead } });
}

async function textOf(read: OpenedRead | undefined): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of read?.chunks ?? []) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts).toString();
}

describe('createPooledBackend', () => {
  it('sends a change to the next node under the request id that it had at the first', async () => {
    const ids: (string | undefined)[] = [];
    const node = (name: string, fails: boolean): GatewayNode =>
      nodeOf(name, {
        catalog: {
          addImageTag(request) {
            ids.push(request.requestId);
            return fails ? Promise.reject(lost()) : Promise.resolve({});
          },
        },
      });
    const backend = createPooledBackend([node('a', true), node('b', false)], LOG);
    await backend.catalog.addImageTag({ imageId: 'i', tag: 't', requestId: '' }, call());
    await backend.catalog.addImageTag({ imageId: 'i', tag: 't', requestId: 'mine' }, call());
    expect(ids[0]).toMatch(/^[\da-f-]{36}$/);
    // The first was left: the second change went to the other node at once.
    expect(ids).toEqual([ids[0], ids[0], 'mine']);
    backend.close();
  });

  it('reads at a node that has what the caller has seen, and at one that lags when there is no other', async () => {
    const asked: string[] = [];
    const positions: Record<string, string> = { a: '1.9', b: '1.5', c: '1.9' };
    const node = (name: string): GatewayNode =>
      nodeOf(name, {
        catalog: {
          getMember(_request, options) {
            const position = positions[name];
            if (position === undefined) return Promise.reject(lost());
            const wanted = options?.metadata?.get('oriel-min-position') ?? '';
            asked.push(`${name} for ${wanted}`);
            if (wanted > position) return Promise.reject(new ServiceError('UNAVAILABLE', 'it lags'));
            options?.onHeader?.(new Metadata().set('oriel-position', position));
            return Promise.resolve({ member: undefined });
          },
        },
      });
    const backend = createPooledBackend([node('a'), node('b'), node('c')], LOG);
    const read = async (): Promise<readonly string[]> => {
      asked.length = 0;
      await backend.catalog.getMember({ imageId: 'i', memberId: 'm' }, call());
      return [...asked];
    };
    expect(await read()).toEqual(['a for ']);
    delete positions['a'];
    expect(await read()).toEqual(['b for 1.9', 'c for 1.9']);
    delete positions['c'];
    expect(await read()).toEqual(['b for 1.9', 'b for ']);
    backend.close();
  });

  it('goes on with a download from the exact byte, and not with other data', async () => {
    const breaking = reader('a', (from) => opened('0123456789', from, true));
    const good = createPooledBackend([breaking], LOG);
    expect(await textOf(await good.bytes.openRead({ imageId: 'i', range: null }, call())).catch(String)).toContain(
      'no',
    );
    good.close();

    let first = true;
    const once = reader('a', (from) => {
      const breaks = first;
      first = false;
      return opened('0123456789', from, breaks);
    });
    const again = createPooledBackend([once], LOG);
    expect(await textOf(await again.bytes.openRead({ imageId: 'i', range: null }, call()))).toBe('0123456789');
    again.close();

    first = true;
    const other = reader('a', (from) => {
      const breaks = first;
      first = false;
      return opened('0123456789', from, breaks, breaks ? 'a' : 'b');
    });
    const refused = createPooledBackend([other], LOG);
    const read = await refused.bytes.openRead({ imageId: 'i', range: null }, call());
    await expect(textOf(read)).rejects.toMatchObject({ reason: 'UPSTREAM_FAILED' });
    refused.close();
  });

  it('does not send an upload elsewhere once its source was touched', async () => {
    let asked = 0;
    const node = (name: string, takes: boolean): GatewayNode =>
      nodeOf(name, {
        bytes: {
          async write(_request, source) {
            asked += 1;
            if (takes) await source[Symbol.asyncIterator]().next();
            throw lost();
          },
        },
      });
    const source = async function* () {
      yield await Promise.resolve(Buffer.from('x'));
    };
    const backend = createPooledBackend([node('a', false), node('b', true), node('c', false)], LOG);
    const upload = backend.bytes.write({ imageId: 'i', sizeBytes: null, storeId: null }, source(), call());
    await expect(upload).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(asked).toBe(2);
    backend.close();
  });
});

describe('CallerPositions', () => {
  const caller = (token: string): Metadata => new Metadata().set('x-auth-token', token);
  const at = (position: string): Metadata => new Metadata().set('oriel-position', position);

  it('lets a caller’s reads carry its newest write, or what it asks for itself when that is newer', () => {
    const positions = new CallerPositions();
    positions.note(caller('a'), at('2.10'), 'change');
    positions.note(caller('a'), at('2.9'), 'change');
    const carried = (metadata: Metadata): string | undefined =>
      positions.carriedBy(metadata, 'written').get('oriel-min-position');
    expect(carried(caller('a'))).toBe('2.10');
    expect(carried(caller('b'))).toBeUndefined();
    const asks = (position: string): Metadata => caller('a').set('oriel-min-position', position);
    expect(carried(asks('2.9'))).toBe('2.10');
    expect(carried(asks('3.1'))).toBe('3.1');
    expect(carried(asks('no position'))).toBe('no position');
  });

  it('keeps apart what a caller wrote and what it saw', () => {
    const positions = new CallerPositions();
    const carried = (which: 'written' | 'seen'): string | undefined =>
      positions.carriedBy(caller('a'), which).get('oriel-min-position');
    positions.note(caller('a'), at('1.7'), 'read');
    expect([carried('written'), carried('seen')]).toEqual([undefined, '1.7']);
    positions.note(caller('a'), at('1.5'), 'change');
    expect([carried('written'), carried('seen')]).toEqual(['1.5', '1.7']);
    positions.note(caller('a'), at('1.6'), 'read');
    positions.note(caller('a'), at('1.9'), 'change');
    expect([carried('written'), carried('seen')]).toEqual(['1.9', '1.9']);
  });

  it('forgets callers when there are many', () => {
    const positions = new CallerPositions();
    for (let index = 0; index <= 10_000; index += 1) positions.note(caller(`t${index}`), at('1.1'), 'change');
    expect(positions.carriedBy(caller('t0'), 'written').get('oriel-min-position')).toBeUndefined();
    expect(positions.carriedBy(caller('t10000'), 'written').get('oriel-min-position')).toBe('1.1');
  });
});
