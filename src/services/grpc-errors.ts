import { ErrorInfo, RichServerError } from 'nice-grpc-error-details';
import { isAbortError } from 'abort-controller-x';
import { ServerError, Status } from 'nice-grpc-common';
import { REASONS } from '../base/error-table.js';
import { ServiceError } from '../base/service-error.js';

/** The domain of our ErrorInfo (google.rpc.ErrorInfo, "domain"). */
const ERROR_DOMAIN = 'oriel';

/**
 * Turns what a service method threw into a gRPC status with a google.rpc.ErrorInfo. What is not an error for callers is a
 * bug: it goes to `report`, and the caller learns nothing of it.
 */
export function toServerError(error: unknown, report: (error: unknown) => void): unknown {
  if (error instanceof ServerError || isAbortError(error)) return error;
  const known = error instanceof ServiceError ? error : undefined;
  if (known === undefined || known.reason === 'INTERNAL') report(error);
  const { reason, message, details } =
    known ?? new ServiceError('INTERNAL', 'internal error; the log of the node has the details');
  const info = ErrorInfo.fromPartial({ reason, domain: ERROR_DOMAIN, metadata: { ...details } });
  return new RichServerError(Status[REASONS[reason].grpc], message, [info]);
}
