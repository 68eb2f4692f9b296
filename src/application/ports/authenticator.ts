/** Who calls: the port between the listeners and `identity/`. */
import type { Caller } from '../../domain/caller.js';

/** What a request carries to prove who sends it. */
export interface Credentials {
  /** Where the request came in: gRPC over TCP, gRPC over the unix socket, or the Images API. */
  readonly listener: 'tcp' | 'unix' | 'http';
  /** X-Auth-Token. */
  readonly token?: string | undefined;
  /** X-Service-Token: of the service that relays the request. */
  readonly serviceToken?: string | undefined;
  /** X-User-Id; like the two below believed in mode `none` only. */
  readonly userId?: string | undefined;
  /** X-Project-Id, or X-Tenant-Id. */
  readonly projectId?: string | undefined;
  /** X-Roles: names separated by commas. */
  readonly roles?: string | undefined;
  /** What a node of this service signed about its caller (`identity/node-statement.ts`); goes before all else. */
  readonly statement?: string | undefined;
  /** The client's certificate, when TLS has verified it against the configured CA; never an unverified one. */
  readonly peerCertificate?: { readonly commonName: string } | undefined;
}

export interface Authenticator {
  /**
   * Returns who the caller is. UNAUTHENTICATED: no or bad credentials; `details.www_authenticate` is the value of the
   * header WWW-Authenticate. UNAVAILABLE: the token cannot be checked now; `details.retry_after` is in seconds.
   */
  authenticate(credentials: Credentials): Promise<Caller>;
  /** Closes connections to the Identity service. */
  close(): Promise<void>;
}
