/**
 * `GET /oriel/v1/objects/{location}?store=&key=&size=` with a Range: objects of this node's stores for other nodes of the
 * cluster, which have checked who reads them and prove by a statement that they are nodes (`cluster/peer-objects.ts`).
 */
import { ServiceError } from '../base/service-error.js';
import type { Answer } from './answer.js';
import type { NodeObjects } from './byte-streams.js';
import type { Exchange } from './exchange.js';
import { decodeRange } from './node-bytes-protocol.js';
import type { Route } from './route.js';
import { sendBytes } from './send-bytes.js';

export function nodeObjectsRoute(objects: NodeObjects, idleMs: number): Route {
  return {
    method: 'GET',
    path: '/oriel/v1/objects/:location',
    body: 'none',
    handle: (exchange) => read(objects, exchange, idleMs),
  };
}

async function read(objects: NodeObjects, exchange: Exchange, idleMs: number): Promise<Answer | undefined> {
  const query = new URLSearchParams(exchange.rawQuery);
  const range = decodeRange(exchange.header('range'));
  const size = query.get('size') ?? '';
  if (range === null) throw new ServiceError('INVALID_ARGUMENT', 'Range: expected one range of bytes');
  if (!/^\d{1,16}$/.test(size)) throw new ServiceError('INVALID_ARGUMENT', 'size: expected the bytes of the object');
  const request = { storeId: query.get('store') ?? '', key: query.get('key') ?? '', sizeBytes: Number(size), range };
  const opened = await objects.openObject(request, exchange.call);
  const last = opened.offsetBytes + opened.lengthBytes - 1;
  await sendBytes(exchange, opened, {
    status: 206,
    headers: { 'Content-Range': `bytes ${opened.offsetBytes}-${last}/${opened.sizeBytes}` },
    signal: exchange.call.signal,
    idleMs,
  });
  return undefined;
}
