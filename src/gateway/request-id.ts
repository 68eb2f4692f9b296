import { randomUUID } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';

const MAX_LENGTH = 64;
const CHARSET = /^[A-Za-z0-9_-]+$/;

/** The id of a request, and what was wrong with the one that the client sent. */
export interface RequestIdentity {
  readonly id: string;
  readonly refusal: ServiceError | null;
}

/**
 * Takes the client's X-Openstack-Request-Id, with `req-` put before it when missing, or makes one (reference §2.1). An
 * id over 64 characters is refused with HEADER_TOO_LARGE (431), one with other characters than `[A-Za-z0-9_-]` with
 * INVALID_ARGUMENT (§14.4); the answer then carries an id of ours.
 */
export function requestIdentity(sent: string | undefined): RequestIdentity {
  if (sent === undefined || sent === '') return { id: newRequestId(), refusal: null };
  if (sent.length > MAX_LENGTH) {
    const message = `X-Openstack-Request-Id: expected at most ${MAX_LENGTH} characters, got ${sent.length}`;
    return { id: newRequestId(), refusal: new ServiceError('HEADER_TOO_LARGE', message) };
  }
  if (!CHARSET.test(sent)) {
    const message = 'X-Openstack-Request-Id: expected letters, digits, "-" and "_" only';
    return { id: newRequestId(), refusal: new ServiceError('INVALID_ARGUMENT', message) };
  }
  return { id: sent.startsWith('req-') ? sent : `req-${sent}`, refusal: null };
}

/** Makes a request id. */
export function newRequestId(): string {
  return `req-${randomUUID()}`;
}
