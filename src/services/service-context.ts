import type { Metadata } from 'nice-grpc-common';
import type { Authenticator, Credentials } from '../application/ports/authenticator.js';
import type { Caller } from '../domain/caller.js';

/** What every service method gets beside its request; the same over the wire and in process. */
export interface ServiceContext {
  readonly signal: AbortSignal;
  /** Who calls. UNAUTHENTICATED, UNAVAILABLE: see Authenticator. */
  caller(): Promise<Caller>;
  /** True when a node of this service calls for itself, which opens the node-only RPCs. */
  readonly fromNode: boolean;
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

function credentialsOf(metadata: Metadata): Omit<Credentials, 'listener'> {
  return {
    token: metadata.get('x-auth-token'),
    serviceToken: metadata.get('x-service-token'),
    userId: metadata.get('x-user-id'),
    projectId: metadata.get('x-project-id') ?? metadata.get('x-tenant-id'),
    roles: metadata.get('x-roles'),
  };
}
