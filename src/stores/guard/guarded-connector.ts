/** Connects to hosts of URLs that somebody else chose: to addresses that were checked, and to no others. */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressRules } from './address-rules.js';

/** All addresses of a host. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** An address is refused; `message` is for the log. */
export class RefusedAddress extends Error {}

/**
 * The system's resolver holds one of the few threads that files are read with, for as long as a name server is silent: two at a
 * time leave the others alone.
 */
const LOOKUPS = 2;
const WAITING_MAX = 100;

/** The system's resolver, a few at a time. */
export function systemResolve(): Resolve {
  const running = new Set<Promise<unknown>>();
  let waiting = 0;
  return async (hostname) => {
    if (waiting >= WAITING_MAX) throw new Error('too many names are being looked up');
    waiting += 1;
    while (running.size >= LOOKUPS) await Promise.race(running);
    waiting -= 1;
    const asked = lookup(hostname, { all: true, verbatim: true });
    const done = asked.catch(() => undefined).finally(() => running.delete(done));
    running.add(done);
    return (await asked).map(({ address }) => address);
  };
}

/**
 * Makes the connector of an Agent. A name is resolved once, all its addresses are checked, and the connection goes to those: what
 * the name server says a moment later makes no difference (DNS rebinding). Host and SNI stay those of the URL.
 */
export function guardedConnector(options: {
  readonly addresses: Pick<AddressRules, 'refusal'>;
  readonly resolve: Resolve;
  /** Past the address rules. */
  readonly isAllowed: (hostname: string, port: number) => boolean;
  readonly connectMs: number;
}): buildConnector.connector {
  const { addresses, resolve, isAllowed, connectMs } = options;
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
  const free = buildConnector({ timeout: connectMs, lookup: lookupBy(resolve) });
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
