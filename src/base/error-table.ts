/**
 * Every reason an operation can fail for, with its gRPC code and its HTTP status. Adapters look it up and
 * decide nothing themselves. gRPC codes are those of grpc/statuscodes.md.
 */
export const REASONS = {
  INVALID_ARGUMENT: { grpc: 'INVALID_ARGUMENT', http: 400 },
  UNAUTHENTICATED: { grpc: 'UNAUTHENTICATED', http: 401 },
  FORBIDDEN: { grpc: 'PERMISSION_DENIED', http: 403 },
  NOT_FOUND: { grpc: 'NOT_FOUND', http: 404 },
  ALREADY_EXISTS: { grpc: 'ALREADY_EXISTS', http: 409 },
  STATE_CONFLICT: { grpc: 'FAILED_PRECONDITION', http: 409 },
  /** Images API v2 §6.8: deactivate and reactivate answer 403 in a status that forbids them. */
  ACTION_FORBIDDEN_BY_STATUS: { grpc: 'FAILED_PRECONDITION', http: 403 },
  VERSION_CONFLICT: { grpc: 'ABORTED', http: 409 },
  IMAGE_GONE: { grpc: 'FAILED_PRECONDITION', http: 410 },
  LIMIT_EXCEEDED: { grpc: 'RESOURCE_EXHAUSTED', http: 413 },
  TOO_MANY_WATCHERS: { grpc: 'RESOURCE_EXHAUSTED', http: 503 },
  UNSUPPORTED_MEDIA: { grpc: 'INVALID_ARGUMENT', http: 415 },
  RANGE_INVALID: { grpc: 'OUT_OF_RANGE', http: 416 },
  EVENTS_GONE: { grpc: 'OUT_OF_RANGE', http: 410 },
  METHOD_NOT_ALLOWED: { grpc: 'UNIMPLEMENTED', http: 405 },
  HEADER_TOO_LARGE: { grpc: 'INVALID_ARGUMENT', http: 431 },
  UPSTREAM_FAILED: { grpc: 'UNAVAILABLE', http: 502 },
  NOT_IMPLEMENTED: { grpc: 'UNIMPLEMENTED', http: 501 },
  UNAVAILABLE: { grpc: 'UNAVAILABLE', http: 503 },
  DEADLINE_EXCEEDED: { grpc: 'DEADLINE_EXCEEDED', http: 504 },
  CANCELLED: { grpc: 'CANCELLED', http: 499 },
  DATA_CORRUPT: { grpc: 'DATA_LOSS', http: 500 },
  INTERNAL: { grpc: 'INTERNAL', http: 500 },
} as const satisfies Record<string, { readonly grpc: string; readonly http: number }>;

/** Why an operation failed. */
export type Reason = keyof typeof REASONS;

/** Tells whether the text is one of the reasons. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}
