import { ServiceError } from '../../base/service-error.js';
import type { Exchange } from '../exchange.js';

/** Carries the version of the image; ours. Not an ETag: bodies differ by caller (reference §12.8 G17). */
export const VERSION_HEADER = 'Oriel-Image-Version';

/**
 * The version that the caller demands with `If-Match: "7"`, or undefined. Without it a write applies to whatever is there,
 * as upstream. INVALID_ARGUMENT when the header is anything else than one version or `*`.
 */
export function expectedVersion(exchange: Exchange): bigint | undefined {
  const header = exchange.header('if-match')?.trim();
  if (header === undefined || header === '*') return undefined;
  const match = /^"?(\d{1,19})"?$/.exec(header);
  if (match?.[1] === undefined) {
    throw new ServiceError('INVALID_ARGUMENT', `If-Match: expected a version from ${VERSION_HEADER}, such as "7"`);
  }
  return BigInt(match[1]);
}
