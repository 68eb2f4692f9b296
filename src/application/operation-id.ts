import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { IdSource } from './ports/clock.js';

const REQUEST_ID_MAX = 128;

/** The id under which a write is remembered. */
export interface Operation {
  readonly opId: string;
  /** True when the caller chose it, so that the write may be a repetition. */
  readonly repeatable: boolean;
}

/**
 * Makes the operation id of a write. A request id counts for its user alone, so that nobody can guess another's away.
 * INVALID_ARGUMENT: longer than 128 characters.
 */
export function operationOf(ids: IdSource, caller: Caller, requestId: string): Operation {
  if (requestId === '') return { opId: ids.uuid(), repeatable: false };
  if (requestId.length > REQUEST_ID_MAX)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `request_id may have at most ${REQUEST_ID_MAX} characters, got ${requestId.length}`,
    );
  return { opId: `${caller.projectId ?? ''}/${caller.userId}/${requestId}`, repeatable: true };
}
