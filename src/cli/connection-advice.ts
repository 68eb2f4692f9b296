/** What a user is told when a node does not answer: where it was sought, why, and what to do. */
import { isUnreachable, ServiceError } from '../base/service-error.js';
import type { NodeAddress } from '../rpc/node-client.js';

/** Returns the error with the address and advice when no node answered there, else as it is. */
export function withAdvice(error: unknown, address: NodeAddress): unknown {
  if (!isUnreachable(error) || error.reason !== 'UNAVAILABLE') return error;
  const why = whyOf(error.cause);
  const message = `No node answers at ${address.node} (${why}). ${adviceOf(why, address)}`;
  return new ServiceError(error.reason, message, { cause: error, details: error.details });
}

/** grpc-js wraps the system's words: "… Last error: Error: connect ECONNREFUSED 127.0.0.1:9293. Resolution note: ". */
function whyOf(cause: unknown): string {
  const found = typeof cause === 'object' && cause !== null && 'details' in cause ? String(cause.details) : '';
  const why = /Last error: (?:Error: )?([^]*?)\.?\s*Resolution note:/.exec(found)?.[1] ?? found;
  // Without the time that it adds.
  return why.replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)$/, '').trim() || 'no reason was given';
}

const OTHER_NODE = 'name another with --node or ORIEL_NODE';

function adviceOf(why: string, { node, ca }: NodeAddress): string {
  if (/wrong version number|packet length too long/.test(why))
    return 'What listens there speaks no TLS: leave --ca out, or name its gRPC address with TLS by --node.';
  if (/self.signed|unable to (get|verify)|certificate|altname/i.test(why))
    return 'Name the authority of its certificate by --ca, and the node by a name that is in the certificate.';
  if (/EACCES|EPERM/.test(why))
    return `This user may not use the socket: run as a user of its group, or ${OTHER_NODE}.`;
  if (/Protocol error|ECONNRESET|socket hang up|disconnected/i.test(why) && !node.startsWith('unix:')) {
    const tls = ca === undefined ? '; should it want TLS, give --ca' : '';
    return `What listens there may speak no gRPC, such as the port of the Images API: name the gRPC address by --node${tls}.`;
  }
  return `Start one with "oriel serve", or ${OTHER_NODE}.`;
}
