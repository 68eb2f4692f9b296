import { asProjectId } from '../base/brand.js';
import type { Caller } from '../domain/caller.js';

/** What a mode makes of a token: who has it. */
export interface TokenHolder {
  readonly userId: string;
  readonly projectId: string | null;
  /** Lower case. */
  readonly roles: ReadonlySet<string>;
}

/** One way to recognise tokens. */
export interface TokenMode {
  /** The challenge for WWW-Authenticate (RFC 9110, "WWW-Authenticate"). */
  readonly challenge: string;
  /** Returns who has the token; undefined when this mode does not know it. UNAVAILABLE: it cannot tell now. */
  recognise(token: string): Promise<TokenHolder | undefined>;
  close(): Promise<void>;
}

/** Makes a caller of who holds the token. */
export function userCaller(holder: TokenHolder, serviceRoles: ReadonlySet<string>): Caller {
  const projectId = holder.projectId === null ? null : asProjectId(holder.projectId);
  return { kind: 'user', userId: holder.userId, projectId, roles: holder.roles, serviceRoles };
}

/** Reads role names: trimmed, lower case (reference §2.1, "Roles"), without empty ones. */
export function roleSet(names: Iterable<string>): ReadonlySet<string> {
  const roles = new Set<string>();
  for (const name of names) if (name.trim() !== '') roles.add(name.trim().toLowerCase());
  return roles;
}
