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

/** Finds out who sent a request, once a request. */
export class CallerResolver {
  readonly #authenticator: Authenticator;
  // The gateway passes one metadata object to all calls of a request.
  readonly #known = new WeakMap<Metadata, Promise<Caller>>();

  constructor(authenticator: Authenticator) {
    this.#authenticator = authenticator;
  }

  resolve(metadata: Metadata, door: Pick<Credentials, 'listener' | 'peerCertificate'>): Promise<Caller> {
    const known = this.#known.get(metadata);
    if (known !== undefined) return known;
    const caller = this.#authenticator.authenticate({ ...credentialsOf(metadata), ...door });
    this.#known.set(metadata, caller);
    return caller;
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
