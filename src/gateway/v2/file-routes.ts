import { ServiceError } from '../../base/service-error.js';
import type { OpenedRead, RangeRequest } from '../byte-streams.js';
import { type Answer, NO_CONTENT } from '../answer.js';
import type { Exchange } from '../exchange.js';
import type { Route } from '../route.js';
import type { RouteContext } from '../route-context.js';
import { sendBytes } from '../send-bytes.js';
import { contentLength, uploadSource } from '../upload-source.js';
import { parseRange, parseRequestContentRange } from './byte-range.js';

const PREFERRED_MAX = 100;

/** The data of an image (reference §6.6, §6.7). */
export function fileRoutes(context: RouteContext): readonly Route[] {
  const path = '/v2/images/:id/file';
  return [
    { method: 'PUT', path, body: 'taken', handle: (exchange) => upload(context, exchange) },
    { method: 'GET', path, body: 'ignored', handle: (exchange) => download(context, exchange) },
  ];
}

async function upload(context: RouteContext, exchange: Exchange): Promise<Answer> {
  requireOctetStream(exchange.contentType);
  if (exchange.header('content-range') !== undefined) {
    // RFC 9110 §14.5: a partial PUT that is not understood must not be stored as if it were whole.
    throw new ServiceError('INVALID_ARGUMENT', 'Content-Range: expected the whole data of the image in one request');
  }
  const announcedBytes = announcedSize(exchange);
  const storeId = exchange.header('x-image-meta-store')?.trim() ?? '';
  const source = uploadSource(exchange, announcedBytes, { idleMs: context.idleMs });
  const request = {
    imageId: exchange.param('id'),
    sizeBytes: announcedBytes ?? contentLength(exchange),
    storeId: storeId === '' ? null : storeId,
  };
  await context.backend.bytes.write(request, source, exchange.call);
  return NO_CONTENT;
}

function requireOctetStream(contentType: string | undefined): void {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/octet-stream') {
    const got = contentType === undefined ? 'none' : JSON.stringify(contentType.slice(0, 80));
    throw new ServiceError('UNSUPPORTED_MEDIA', `Content-Type: expected application/octet-stream, got ${got}`);
  }
}

/** The value of x-openstack-image-size, which must agree with Content-Length. */
function announcedSize(exchange: Exchange): number | null {
  const header = exchange.header('x-openstack-image-size')?.trim();
  if (header === undefined) return null;
  const size = Number(header);
  if (!/^\d+$/.test(header) || !Number.isSafeInteger(size)) {
    throw new ServiceError('INVALID_ARGUMENT', 'x-openstack-image-size: expected a number of bytes');
  }
  const length = contentLength(exchange);
  if (length !== null && length !== size) {
    throw new ServiceError('INVALID_ARGUMENT', `x-openstack-image-size: expected ${length} as Content-Length says`);
  }
  return size;
}

async function download(context: RouteContext, exchange: Exchange): Promise<Answer | undefined> {
  const prefer = preferredStores(exchange);
  const imageId = exchange.param('id');
  const range = await requestedRange(context, exchange, imageId);
  if (range === 'no-data') return NO_CONTENT;
  const read = await context.backend.bytes.openRead({ imageId, range, prefer }, exchange.call);
  if (read === undefined) return NO_CONTENT;
  await sendBytes(exchange, read, {
    status: range === null ? 200 : 206,
    headers: dataHeaders(read, range),
    signal: exchange.call.signal,
    idleMs: context.idleMs,
  });
  return undefined;
}

/** The stores of `?prefer=s1,s2`, to be read first; which there are is for the service to say. */
function preferredStores(exchange: Exchange): readonly string[] {
  const values = new URLSearchParams(exchange.rawQuery).getAll('prefer');
  const names = values.flatMap((value) => value.split(',').map((name) => name.trim()));
  if (names.length > PREFERRED_MAX || names.includes(''))
    throw new ServiceError('INVALID_ARGUMENT', `prefer: expected 1 to ${PREFERRED_MAX} names of stores`);
  return names;
}

function dataHeaders(read: OpenedRead, range: RangeRequest | null): Record<string, string> {
  const headers: Record<string, string> = {};
  // The MD5 of the whole image, in hex, for ranges too (reference §6.7).
  if (read.image.checksum !== undefined) headers['Content-MD5'] = read.image.checksum;
  if (range !== null) {
    const last = read.offsetBytes + read.lengthBytes - 1;
    headers['Content-Range'] = `bytes ${read.offsetBytes}-${last}/${read.sizeBytes}`;
  }
  return headers;
}

/**
 * The range that the request names. A bad one is told only when the image is there and has data: 404 comes first, and a
 * range of no data is 204 (reference §6.7).
 */
async function requestedRange(
  context: RouteContext,
  exchange: Exchange,
  imageId: string,
): Promise<RangeRequest | null | 'no-data'> {
  const rangeHeader = exchange.header('range');
  const legacyHeader = exchange.header('content-range');
  // There is no validator that If-Range could match, and then the whole is sent (RFC 9110 §13.1.5).
  if (exchange.header('if-range') !== undefined) return null;
  if (rangeHeader === undefined && legacyHeader === undefined) return null;
  const parsed = rangeHeader === undefined ? undefined : attempt(() => parseRange(rangeHeader));
  if (parsed !== undefined && !(parsed instanceof ServiceError)) return parsed;
  const { image } = await context.backend.catalog.getImage({ id: imageId }, exchange.call);
  if (image?.size === undefined) return 'no-data';
  if (parsed !== undefined) throw parsed;
  return parseRequestContentRange(legacyHeader ?? '', Number(image.size));
}

function attempt<T>(parse: () => T): T | ServiceError {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
}
