import { ServiceError } from '../base/service-error.js';

/** A range as a caller states it; the size of the image decides what it comes to. */
export type RangeRequest =
  | { readonly kind: 'from'; readonly firstByte: number; readonly lastByte: number | null }
  | { readonly kind: 'suffix'; readonly lengthBytes: number };

/**
 * Returns the part of `sizeBytes` bytes that the range names (RFC 9110 §14.1.2; Images API v2 §6.7): the end is clamped, a
 * suffix longer than the image is the whole. RANGE_INVALID: it starts at or after the end, or is empty.
 */
export function resolveRange(
  range: RangeRequest | null,
  sizeBytes: number,
): { readonly offsetBytes: number; readonly lengthBytes: number } {
  if (range === null) return { offsetBytes: 0, lengthBytes: sizeBytes };
  if (range.kind === 'suffix') {
    const lengthBytes = Math.min(range.lengthBytes, sizeBytes);
    if (lengthBytes <= 0) throw outside(`the last ${range.lengthBytes} bytes`, sizeBytes);
    return { offsetBytes: sizeBytes - lengthBytes, lengthBytes };
  }
  const lastByte = Math.min(range.lastByte ?? sizeBytes - 1, sizeBytes - 1);
  if (range.firstByte >= sizeBytes || lastByte < range.firstByte)
    throw outside(`bytes ${range.firstByte} to ${range.lastByte ?? 'the end'}`, sizeBytes);
  return { offsetBytes: range.firstByte, lengthBytes: lastByte - range.firstByte + 1 };
}

function outside(asked: string, sizeBytes: number): ServiceError {
  return new ServiceError('RANGE_INVALID', `${asked} are outside the image, which has ${sizeBytes} bytes`, {
    // RFC 9110 §14.4: an unsatisfied range is answered with the size.
    details: { content_range: `bytes */${sizeBytes}` },
  });
}
