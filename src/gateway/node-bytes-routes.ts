/**
 * The bytes of images for gateways on other machines: `GET` and `PUT /oriel/v1/images/{id}/data`, the `ByteStreams` port over
 * HTTP. `remote-byte-streams.ts` is the other end; `node-bytes-protocol.ts` holds what both agree on.
 */
import { ServiceError } from '../base/service-error.js';
import { Image } from '../gen/oriel/catalog/v1/image.js';
import { type Answer, NO_CONTENT } from './answer.js';
import type { Exchange } from './exchange.js';
import {
  DATA_PATH,
  decodeRange,
  failureAnswer,
  IMAGE_HEADER,
  PREFER_HEADER,
  RANGE_HEADERS,
  SIZE_HEADER,
  SOURCE_FAILED_TRAILER,
  STORE_HEADER,
} from './node-bytes-protocol.js';
import type { Route } from './route.js';
import type { RouteContext } from './route-context.js';
import { sendBytes } from './send-bytes.js';
import { uploadSource } from './upload-source.js';

/** The routes of the port. Errors carry their reason, so that the other end fails as this one did. */
export function nodeBytesRoutes(context: RouteContext): readonly Route[] {
  const path = `${DATA_PATH}/:id/data`;
  return [
    { method: 'GET', path, body: 'none', handle: (exchange) => withReasons(exchange, () => read(context, exchange)) },
    { method: 'PUT', path, body: 'taken', handle: (exchange) => withReasons(exchange, () => write(context, exchange)) },
  ];
}

async function read(context: RouteContext, exchange: Exchange): Promise<Answer | undefined> {
  const range = decodeRange(exchange.header('range'));
  const prefer = decodePrefer(exchange.header(PREFER_HEADER));
  const opened = await context.backend.bytes.openRead({ imageId: exchange.param('id'), range, prefer }, exchange.call);
  if (opened === undefined) return NO_CONTENT;
  await sendBytes(exchange, opened, {
    status: 200,
    headers: {
      [IMAGE_HEADER]: encodeImage(opened.image),
      [RANGE_HEADERS.size]: String(opened.sizeBytes),
      [RANGE_HEADERS.offset]: String(opened.offsetBytes),
    },
    signal: exchange.call.signal,
    idleMs: context.idleMs,
  });
  return undefined;
}

async function write(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const storeId = exchange.header(STORE_HEADER) ?? null;
  const request = { imageId: exchange.param('id'), sizeBytes: announcedSize(exchange), storeId };
  const source = writeSource(exchange, context.idleMs);
  const image = await context.backend.bytes.write(request, source, exchange.call);
  return { status: 204, headers: { [IMAGE_HEADER]: encodeImage(image) } };
}

function decodePrefer(header: string | undefined): readonly string[] {
  if (header === undefined) return [];
  if (!/^(?:[\w.,~-]|%[0-7][0-9A-F])*$/.test(header))
    throw new ServiceError('INVALID_ARGUMENT', `${PREFER_HEADER}: expected percent-encoded names`);
  return decodeURIComponent(header).split(',');
}

function announcedSize(exchange: Exchange): number | null {
  const header = exchange.header(SIZE_HEADER);
  if (header === undefined) return null;
  if (!/^\d{1,16}$/.test(header)) throw new ServiceError('INVALID_ARGUMENT', `${SIZE_HEADER}: expected bytes`);
  return Number(header);
}

/** The bytes that the gateway passes on; CANCELLED when it says at their end that they are not all. */
async function* writeSource(exchange: Exchange, idleMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  yield* uploadSource(exchange, null, { idleMs });
  if (exchange.request.trailers[SOURCE_FAILED_TRAILER] !== undefined) {
    throw new ServiceError('CANCELLED', 'the gateway gave the upload up');
  }
}

function encodeImage(image: Image): string {
  return Buffer.from(Image.encode(image).finish()).toString('base64');
}

async function withReasons(exchange: Exchange, work: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
  try {
    return await work();
  } catch (error) {
    if (exchange.response.headersSent) throw error;
    return failureAnswer(error);
  }
}
