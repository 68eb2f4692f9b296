/**
 * Byte ranges of a download (reference §6.7): the Range header, and Content-Range in a request, which clients of early 2.x
 * versions send instead.
 */
import { ServiceError } from '../../base/service-error.js';
import type { RangeRequest } from '../byte-streams.js';

/**
 * Parses a Range header. RANGE_INVALID: another unit, malformed, end before start, a suffix of nothing (§13 D12).
 * INVALID_ARGUMENT: several ranges.
 */
export function parseRange(header: string): RangeRequest {
  const match = /^\s*bytes\s*=\s*(.*)$/i.exec(header);
  const spec = match?.[1]?.trim();
  if (spec === undefined) throw malformed('Range', header);
  if (spec.includes(',')) {
    throw new ServiceError('INVALID_ARGUMENT', 'Range: expected one range, got several');
  }
  const bounds = /^(\d*)-(\d*)$/.exec(spec);
  const [, first = '', last = ''] = bounds ?? [];
  if (first === '') {
    const lengthBytes = byteCount(last);
    if (lengthBytes === undefined || lengthBytes === 0) throw malformed('Range', header);
    return { kind: 'suffix', lengthBytes };
  }
  const firstByte = byteCount(first);
  const lastByte = last === '' ? null : byteCount(last);
  if (firstByte === undefined || lastByte === undefined || (lastByte !== null && lastByte < firstByte)) {
    throw malformed('Range', header);
  }
  return { kind: 'from', firstByte, lastByte };
}

/**
 * Parses Content-Range of a request: `bytes a-b/size` or `bytes a-b/*`. The whole of it must fit an image of `sizeBytes`
 * (§13 D11). RANGE_INVALID where it does not; INVALID_ARGUMENT for an unsatisfied range (a star for the bytes), which asks for nothing (§13 D10).
 */
export function parseRequestContentRange(header: string, sizeBytes: number): RangeRequest {
  if (/^\s*bytes\s+\*\//i.test(header)) {
    throw new ServiceError('INVALID_ARGUMENT', 'Content-Range: expected a first and a last byte, got "*"');
  }
  const match = /^\s*bytes\s+(\d+)-(\d+)\/(\d+|\*)\s*$/i.exec(header);
  const firstByte = byteCount(match?.[1] ?? '');
  const lastByte = byteCount(match?.[2] ?? '');
  const total = match?.[3] === '*' ? sizeBytes : byteCount(match?.[3] ?? '');
  if (firstByte === undefined || lastByte === undefined || total === undefined)
    throw malformed('Content-Range', header);
  if (lastByte < firstByte || lastByte >= sizeBytes || total !== sizeBytes) {
    throw new ServiceError('RANGE_INVALID', `Content-Range: expected a range within ${sizeBytes} bytes`, {
      details: { content_range: `bytes */${sizeBytes}` },
    });
  }
  return { kind: 'from', firstByte, lastByte };
}

/** Parses digits; what exceeds every size counts as the greatest number. */
function byteCount(digits: string): number | undefined {
  if (!/^\d+$/.test(digits)) return undefined;
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}

function malformed(name: string, header: string): ServiceError {
  const expected = name === 'Range' ? '"bytes=first-last"' : '"bytes first-last/size"';
  return new ServiceError('RANGE_INVALID', `${name}: expected ${expected}, got ${JSON.stringify(header.slice(0, 80))}`);
}
