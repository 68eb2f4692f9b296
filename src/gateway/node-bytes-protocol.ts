/** What the two ends of `/oriel/v1/images/{id}/data` agree on. */
import { isReason, REASONS } from '../base/error-table.js';
import { ServiceError } from '../base/service-error.js';
import type { Answer } from './answer.js';
import type { RangeRequest } from './byte-streams.js';
import { REASON_HEADER } from './error-answer.js';

export const DATA_PATH = '/oriel/v1/images';
/** The image as the caller sees it: a protobuf `oriel.catalog.v1.Image` in base64. */
export const IMAGE_HEADER = 'oriel-image';
/** The size that a write announces. Bodies are always chunked, because only those can end with a trailer. */
export const SIZE_HEADER = 'oriel-announced-size';
/**
 * Trailer of a write whose source failed. A connection broken off would say so too, but then the gateway could not wait for
 * the image to be queued again before it answers its client.
 */
export const SOURCE_FAILED_TRAILER = 'oriel-source-failed';
/** The store that a write asks for. */
export const STORE_HEADER = 'oriel-store';
/** The stores that a read wants first, with commas between them, percent-encoded. */
export const PREFER_HEADER = 'oriel-prefer';
/** The size of the whole image, and where the sent part starts. */
export const RANGE_HEADERS = { size: 'oriel-image-size', offset: 'oriel-range-offset' } as const;
/** An image has at most some hundred properties of 64 KiB (reference §12.8 G16). */
export const MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** Writes a range as a Range header; null: none. */
export function encodeRange(range: RangeRequest | null): string | null {
  if (range === null) return null;
  return range.kind === 'suffix'
    ? `bytes=-${range.lengthBytes}`
    : `bytes=${range.firstByte}-${range.lastByte === null ? '' : range.lastByte}`;
}

/** Reads what `encodeRange` wrote. INVALID_ARGUMENT for anything else. */
export function decodeRange(header: string | undefined): RangeRequest | null {
  if (header === undefined) return null;
  const match = /^bytes=(?:-(\d{1,16})|(\d{1,16})-(\d{1,16})?)$/.exec(header);
  if (match === null) throw new ServiceError('INVALID_ARGUMENT', 'Range: expected one range of bytes');
  const [, suffix, first, last] = match;
  if (suffix !== undefined) return { kind: 'suffix', lengthBytes: Number(suffix) };
  return { kind: 'from', firstByte: Number(first), lastByte: last === undefined ? null : Number(last) };
}

/** The answer that carries a failure to the other end, its details with it; bugs go without their message. */
export function failureAnswer(error: unknown): Answer {
  if (!(error instanceof ServiceError)) throw error;
  return {
    status: REASONS[error.reason].http,
    headers: { [REASON_HEADER]: error.reason },
    body: JSON.stringify({ message: error.message, details: error.details }),
  };
}

/** Turns an answer that is no success back into the failure it carries. */
export function failureOf(status: number, reason: string | undefined, body: unknown): ServiceError {
  const known = reason !== undefined && isReason(reason) ? reason : null;
  const fields = typeof body === 'object' && body !== null ? body : {};
  const message = 'message' in fields && typeof fields.message === 'string' ? fields.message : null;
  if (known === null) return new ServiceError('UPSTREAM_FAILED', `the node answered ${status} without a reason`);
  const details: Record<string, string> = {};
  if ('details' in fields && typeof fields.details === 'object' && fields.details !== null) {
    for (const [name, value] of Object.entries(fields.details)) if (typeof value === 'string') details[name] = value;
    // Whom the node could not reach: it answered itself.
    delete details['unreachable'];
  }
  return new ServiceError(known, message ?? `the node answered ${status}`, { details });
}
