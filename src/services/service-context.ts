import type { Metadata } from 'nice-grpc-common';
import type { Authenticator, Credentials } from '../application/ports/authenticator.js';
import type { Caller } from '../domain/caller.js';

/** What every service method gets beside its request; the same over the wire and in process. */
export interface ServiceContext {
  readonly signal: AbortSignal;
  /** Who calls. UNAUTHENTICATED, UNAVAILABLE: see Authenticator. */
  caller(): Promise<Caller>;
  /** How new the catalog must be that answers, as `positionText` writes it; undefined: anything will do. */
  readonly minPosition: string | undefined;
  /** Tells the caller how new the catalog is that answered. */
  answeredAt(freshness: Freshness): void;
  /** Names the request in logs here and at other nodes. */
  readonly trace: RequestTrace;
}

/** What names a request: X-Openstack-Request-Id and the W3C trace. */
export interface RequestTrace {
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
}

/** Reads what names a request from its metadata. */
export function traceOf(metadata: Metadata | undefined): RequestTrace {
  return { requestId: metadata?.get('x-openstack-request-id'), traceparent: metadata?.get('traceparent') };
}

/** How new what was read is. */
export interface Freshness {
  readonly position: string;
  /** null: a copy that was never complete. */
  readonly stalenessMs: number | null;
}

/** The names under which metadata carries them; the Images API has the same as headers. */
export const MIN_POSITION_KEY = 'oriel-min-position';
export const POSITION_KEY = 'oriel-position';
export const STALENESS_KEY = 'oriel-staleness-ms';

/** Writes how new an answer is into the metadata that goes before it. */
export function writeFreshness(header: Metadata, { position, stalenessMs }: Freshness): void {
  header.set(POSITION_KEY, position);
  if (stalenessMs !== null) header.set(STALENESS_KEY, String(Math.round(stalenessMs)));
}

/** Finds out who sent a request. A context asks once and keeps the answer, since an upload outlives its token. */
export class CallerResolver {
  readonly #authenticator: Authenticator;

  constructor(authenticator: Authenticator) {
    this.#authenticator = authenticator;
  }

  resolve(metadata: Metadata, door: Pick<Credentials, 'listener' | 'peerCertificate'>): Promise<Caller> {
    return this.#authenticator.authenticate({ ...credentialsOf(metadata), ...door });
  }
}

/** The name under which metadata carries a node's statement about its caller. */
export const STATEMENT_KEY = 'x-oriel-statement';

function credentialsOf(metadata: Metadata): Omit<Credentials, 'listener'> {
  return {
    statement: metadata.get(STATEMENT_KEY),
    token: metadata.get('x-auth-token'),
    serviceToken: metadata.get('x-service-token'),
    userId: metadata.get('x-user-id'),
    projectId: metadata.get('x-project-id') ?? metadata.get('x-tenant-id'),
    roles: metadata.get('x-roles'),
  };
}
