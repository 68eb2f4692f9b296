import type { NodeId, ProjectId } from '../base/brand.js';

/**
 * Who asks. `user`: by a token. `host`: a compute host, by certificate or unix socket. `node`: this service itself,
 * acting for nobody (recovery, jobs).
 */
export interface Caller {
  readonly kind: 'user' | 'host' | 'node';
  readonly userId: string;
  readonly projectId: ProjectId | null;
  /** Lower case. */
  readonly roles: ReadonlySet<string>;
  /** Roles of the service that relays the call (X-Service-Roles); counted apart (reference §9.3 PP4). */
  readonly serviceRoles: ReadonlySet<string>;
  /** The node of this service that authenticated the caller and signed for it; absent: this node did. */
  readonly vouchedBy?: NodeId;
}

/** Tells whether the caller has the role `admin`, in any project (reference §2.1 "Roles"). */
export function isAdmin(caller: Caller): boolean {
  return caller.roles.has('admin');
}
