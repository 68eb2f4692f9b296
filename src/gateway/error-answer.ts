import { STATUS_CODES } from 'node:http';
import { REASONS } from '../base/error-table.js';
import { ServiceError } from '../base/service-error.js';
import { type Answer, JSON_TYPE, TEXT_TYPE } from './answer.js';

/** Details of a ServiceError that become headers of the answer. */
const DETAIL_HEADERS = {
  www_authenticate: 'WWW-Authenticate',
  allow: 'Allow',
  accept_patch: 'Accept-Patch',
  content_range: 'Content-Range',
  retry_after: 'Retry-After',
} as const;
/** Carries the reason of a failure for machines; several reasons share a status. */
export const REASON_HEADER = 'oriel-error-reason';
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;

/**
 * Renders an error as the Images API does (reference §2.3): flat JSON for a caller that names `application/json` in
 * Accept, plain text for everybody else; python-glanceclient crashes on flat JSON (§12.2 "Errors"). Anything but a
 * ServiceError is INTERNAL, whose message stays in our log.
 */
export function errorAnswer(error: unknown, accept: string | undefined): Answer {
  const reason = error instanceof ServiceError ? error.reason : 'INTERNAL';
  const status = REASONS[reason].http;
  const message =
    error instanceof ServiceError && reason !== 'INTERNAL' ? error.message : 'The server failed; its log says why.';
  const details = error instanceof ServiceError ? headersOf(error) : {};
  return { status, headers: { ...details, [REASON_HEADER]: reason }, ...errorBody(status, message, accept) };
}

/** The body of an error of this status, in the form that the caller's Accept asks for. */
export function errorBody(
  status: number,
  message: string,
  accept: string | undefined,
): { readonly body: string; readonly contentType: string } {
  const title = STATUS_CODES[status] ?? 'Error';
  if (wantsJson(accept)) {
    return { body: JSON.stringify({ message, code: `${status} ${title}`, title }), contentType: JSON_TYPE };
  }
  return { body: `${status} ${title}\n\n${message}\n`, contentType: TEXT_TYPE };
}

function headersOf(error: ServiceError): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [detail, header] of Object.entries(DETAIL_HEADERS)) {
    const value = error.details[detail];
    if (value !== undefined && HEADER_VALUE.test(value)) headers[header] = value;
  }
  return headers;
}

function wantsJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  return accept.split(',').some((range) => range.split(';', 1)[0]?.trim().toLowerCase() === JSON_TYPE);
}
