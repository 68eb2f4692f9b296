/** Connects to hosts of URLs that somebody else chose: to addresses that were checked, and to no others. */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressRules } from './address-rules.js';
import { queuedResolve, type Resolve } from './lookup-queue.js';

/** An address is refused; `message` is for the log. */
export class RefusedAddress extends Error {}

/**
 * The system's resolver holds one of the few threads that files are read with, for as long as a name server is silent: two at a
 * time, and one more for hosts that the operator named, leave the others alone.
 */
const LOOKUPS = { slots: 2, waitingMax: 100 };
const ALLOWED_LOOKUPS = { slots: 1, waitingMax: 100 };

/** The system's resolver for names that anybody may choose, and beside it for those that the operator chose. */
export function systemResolvers(waitMs: number): { readonly resolve: Resolve; readonly resolveAllowed: Resolve } {
  const ask: Resolve = async (hostname) => {
    const found = await lookup(hostname, { all: true, verbatim: true });
    return found.map(({ address }) => address);
  };
  return {
    resolve: queuedResolve(ask, { ...LOOKUPS, waitMs }),
    resolveAllowed: queuedResolve(ask, { ...ALLOWED_LOOKUPS, waitMs }),
  };
}

/**
 * Makes the connector of an Agent. A name is resolved once, all its addresses are checked, and the connection goes to those: what
 * the name server says a moment later makes no difference (DNS rebinding). Host and SNI stay those of the URL.
 */
export function guardedConnector(options: {
  readonly addresses: Pick<AddressRules, 'refusal'>;
  readonly resolve: Resolve;
  readonly resolveAllowed: Resolve;
  /** Past the address rules. */
  readonly isAllowed: (hostname: string, port: number) => boolean;
  readonly connectMs: number;
}): buildConnector.connector {
  const { addresses, resolve, resolveAllowed, isAllowed, connectMs } = options;
  const refuse = (address: string): void => {
    const why = addresses.refusal(address);
    if (why !== undefined) throw new RefusedAddress(`the host has the address ${address}: ${why}`);
  };
  const resolveChecked: Resolve = async (hostname) => {
    const found = await resolve(hostname);
    found.forEach(refuse);
    return found;
  };
  const checked = buildConnector({ timeout: connectMs, lookup: lookupBy(resolveChecked) });
  const free = buildConnector({ timeout: connectMs, lookup: lookupBy(resolveAllowed) });
  return (to, callback) => {
    const port = to.port === '' ? (to.protocol === 'https:' ? 443 : 80) : Number(to.port);
    if (isAllowed(to.hostname, port)) {
      free(to, callback);
      return;
    }
    try {
      // Of an address nothing is looked up.
      if (isIP(to.hostname) !== 0) refuse(to.hostname);
    } catch (error) {
      callback(asError(error), null);
      return;
    }
    checked(to, callback);
  };
}

function lookupBy(resolve: Resolve): LookupFunction {
  return (hostname, { all }, callback) => {
    resolve(hostname).then(
      (found) => {
        const [first] = found;
        if (first === undefined) callback(new RefusedAddress('the host has no address'), '');
        else if (all === true)
          callback(
            null,
            found.map((address) => ({ address, family: isIP(address) })),
          );
        else callback(null, first, isIP(first));
      },
      (error: unknown) => callback(asError(error), ''),
    );
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
