import type { Caller } from '../../domain/caller.js';

/** What a request brought along to say who sends it; names are those of the headers, values untrusted. */
export interface Credentials {
  /** X-Auth-Token */
  readonly token?: string;
  /** X-Service-Token */
  readonly serviceToken?: string;
  /** X-User-Id; counts in mode `none` only, like the next two. */
  readonly userId?: string;
  /** X-Project-Id or X-Tenant-Id */
  readonly projectId?: string;
  /** X-Roles, comma separated. */
  readonly roles?: string;
  /** The door the request came through. */
  readonly listener: 'http' | 'tcp' | 'unix';
  /** Common name of a client certificate that TLS has verified. */
  readonly certificateName?: string;
}

/** Finds out who a caller is. */
export interface Authenticator {
  /** UNAUTHENTICATED: no mode recognises the credentials. UNAVAILABLE: the identity service cannot be asked. */
  authenticate(credentials: Credentials): Promise<Caller>;
  close(): Promise<void>;
}
