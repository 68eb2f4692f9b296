/**
 * Every reason an operation can fail for, with its gRPC code and its HTTP status. Adapters look it up and
 * decide nothing themselves. gRPC codes are the numbers of grpc/status.
 */
export const REASONS = {
  INVALID_ARGUMENT: { grpc: 3, http: 400 },
  UNAUTHENTICATED: { grpc: 16, http: 401 },
  FORBIDDEN: { grpc: 7, http: 403 },
  NOT_FOUND: { grpc: 5, http: 404 },
  ALREADY_EXISTS: { grpc: 6, http: 409 },
  STATE_CONFLICT: { grpc: 9, http: 409 },
  /** Images API v2 §6.8: deactivate and reactivate answer 403 in a status that forbids them. */
  ACTION_FORBIDDEN_BY_STATUS: { grpc: 9, http: 403 },
  VERSION_CONFLICT: { grpc: 10, http: 409 },
  IMAGE_GONE: { grpc: 9, http: 410 },
  LIMIT_EXCEEDED: { grpc: 8, http: 413 },
  UNSUPPORTED_MEDIA: { grpc: 3, http: 415 },
  RANGE_INVALID: { grpc: 11, http: 416 },
  METHOD_NOT_ALLOWED: { grpc: 12, http: 405 },
  HEADER_TOO_LARGE: { grpc: 3, http: 431 },
  UPSTREAM_FAILED: { grpc: 14, http: 502 },
  NOT_IMPLEMENTED: { grpc: 12, http: 501 },
  UNAVAILABLE: { grpc: 14, http: 503 },
  DEADLINE_EXCEEDED: { grpc: 4, http: 504 },
  CANCELLED: { grpc: 1, http: 499 },
  DATA_CORRUPT: { grpc: 15, http: 500 },
  INTERNAL: { grpc: 13, http: 500 },
} as const satisfies Record<string, { readonly grpc: number; readonly http: number }>;

/** Why an operation failed. */
export type Reason = keyof typeof REASONS;

/** Tells whether the text is one of the reasons. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(REASONS, text);
}
