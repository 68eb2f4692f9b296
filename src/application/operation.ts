import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { IdSource } from './ports/clock.js';
import type { CatalogReader } from './ports/catalog.js';

const REQUEST_ID_MAX = 128;

/** A write as it is remembered, so that the same request sent again happens once. */
export interface Operation {
  readonly opId: string;
  /** What it does to what, such as `update 1234…`: another request under the same id is refused. */
  readonly subject: string;
  /** True when the caller chose the id, so that the write may be a repetition. */
  readonly repeatable: boolean;
}

/**
 * Names a write. A request id counts for its user alone, so that nobody can take another's. INVALID_ARGUMENT: longer than
 * 128 characters.
 */
export function operationOf(ids: IdSource, caller: Caller, requestId: string, subject: string): Operation {
  if (requestId === '') return { opId: ids.uuid(), subject, repeatable: false };
  if (requestId.length > REQUEST_ID_MAX)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `request_id may have at most ${REQUEST_ID_MAX} characters, got ${requestId.length}`,
    );
  return { opId: JSON.stringify([caller.projectId, caller.userId, requestId]), subject, repeatable: true };
}

/** Tells whether this very write was applied before. INVALID_ARGUMENT: its id was used for another one. */
export function wasApplied(reader: CatalogReader, operation: Operation): boolean {
  const earlier = operation.repeatable ? reader.operation(operation.opId) : undefined;
  if (earlier === undefined) return false;
  if (earlier.subject !== operation.subject) throw usedForAnother();
  return true;
}

/** The error for a request id that stands for another request already. */
export function usedForAnother(): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', 'request_id was used for another request: choose a new one for each');
}
