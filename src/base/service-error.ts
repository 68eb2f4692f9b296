import type { Reason } from './error-table.js';

/** Facts about an error for machines: short texts by name, such as `{ expected: '3', found: '4' }`. */
export type ErrorDetails = Readonly<Record<string, string>>;

/**
 * The one error that callers see. `message` says what was expected, what came and where; it holds no secret, no
 * address and no path of the machine. Anything else that is thrown is a bug and is reported as INTERNAL.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly reason: Reason;
  readonly details: ErrorDetails;

  constructor(
    reason: Reason,
    message: string,
    options: { readonly details?: ErrorDetails; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.reason = reason;
    this.details = options.details ?? {};
  }
}

/** Tells whether the value is a ServiceError with this reason. */
export function failedWith(error: unknown, reason: Reason): error is ServiceError {
  return error instanceof ServiceError && error.reason === reason;
}

/** The detail of an error that says: the other end did not answer, and this is not its word. */
export const UNREACHABLE: ErrorDetails = { unreachable: 'true' };

/** Tells whether the other end did not answer at all. */
export function isUnreachable(error: unknown): error is ServiceError {
  return error instanceof ServiceError && error.details['unreachable'] === 'true';
}

/** The detail of an error that says: the command line is wrong, for which the program ends with a code of its own. */
const WRONG_COMMAND_LINE: ErrorDetails = { wrong_command_line: 'true' };

/** Makes the error of a wrong command line. */
export function usageError(message: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', message, { details: WRONG_COMMAND_LINE });
}

/** Tells whether the command line was wrong. */
export function isUsageError(error: unknown): boolean {
  return error instanceof ServiceError && error.details['wrong_command_line'] === 'true';
}
