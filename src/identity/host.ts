import type { Credentials } from '../application/ports/authenticator.js';
import type { Caller } from '../domain/caller.js';

/**
 * The roles of a compute host: it reads every image as a service does (reference §12.5, "accept service roles") and owns
 * nothing, as it has no project. `member` and `admin` are not among them: a host changes no image in its own name.
 */
const HOST_ROLES: ReadonlySet<string> = new Set(['host', 'service', 'reader']);

/** Tells whether the way the request came in proves a compute host: a verified certificate, or the unix socket. */
export function isHost(credentials: Credentials): boolean {
  return credentials.peerCertificate !== undefined || credentials.listener === 'unix';
}

/** The caller that a host is. Its name is that of the certificate, or `local` on the unix socket. */
export function hostCaller(credentials: Credentials): Caller {
  const name = credentials.peerCertificate?.commonName ?? 'local';
  return { kind: 'host', userId: `host:${name}`, projectId: null, roles: HOST_ROLES, serviceRoles: new Set() };
}
