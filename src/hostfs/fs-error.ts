import { ServiceError } from '../base/service-error.js';

/** The error code of a failed system call (`ENOENT`), or undefined when the value is something else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Turns the failure of a system call into the error that callers see: LIMIT_EXCEEDED when there is no room (ENOSPC, EDQUOT,
 * EFBIG), else UNAVAILABLE with the code. Other errors come back as they are. `doing` says what failed, without a path:
 * `store fast: writing`.
 */
export function wrapFsError(error: unknown, doing: string): unknown {
  const code = errnoOf(error);
  if (code === undefined || error instanceof ServiceError) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new ServiceError('LIMIT_EXCEEDED', `${doing}: no room left (${code})`, { cause: error });
  }
  return new ServiceError('UNAVAILABLE', `${doing}: ${code}`, { cause: error });
}

/** Runs file-system work and wraps what it throws. */
export async function wrappingFsErrors<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wrapFsError(error, doing);
  }
}
