import { ServiceError } from '../base/service-error.js';
import type { Exchange } from './exchange.js';
import { type BodyLimits, bodyChunks } from './request-body.js';

/** The size that an upload announces by Content-Length; null when it is chunked. */
export function contentLength(exchange: Exchange): number | null {
  const length = exchange.request.headers['content-length'];
  return length === undefined ? null : Number(length);
}

/**
 * The bytes of an upload. Where the size was announced (`x-openstack-image-size`), a stream that is longer or shorter is
 * refused with INVALID_ARGUMENT, the longer one as soon as it is (reference §6.6).
 */
export async function* uploadSource(
  exchange: Exchange,
  announcedBytes: number | null,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sizeBytes = 0;
  for await (const chunk of bodyChunks(exchange, limits)) {
    sizeBytes += chunk.byteLength;
    if (announcedBytes !== null && sizeBytes > announcedBytes) {
      throw new ServiceError('INVALID_ARGUMENT', `expected ${announcedBytes} bytes, got more`);
    }
    yield chunk;
  }
  if (announcedBytes !== null && sizeBytes !== announcedBytes) {
    throw new ServiceError('INVALID_ARGUMENT', `expected ${announcedBytes} bytes, got ${sizeBytes}`);
  }
}
