/** Mode `none`: everyone is an administrator, and who wants to be another says so (DESIGN §8; reference §2.1, "No-auth flavours"). */
import { asProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Credentials } from '../application/ports/authenticator.js';
import type { Caller } from '../domain/caller.js';
import { isHost } from './host.js';
import { roleSet, type TokenHolder } from './token-holder.js';

/**
 * Returns who the caller says to be. A token `user:project:role[,role]` goes before the identity headers; a token without
 * a colon says nothing, as clients send whatever they have. UNAUTHENTICATED: a token with colons of another form.
 */
export function openCaller(credentials: Credentials): Caller {
  const holder = fromToken(credentials.token) ?? fromHeaders(credentials);
  return {
    // A host stays one whatever it calls itself, so that what needs the host role can be tried in this mode.
    kind: isHost(credentials) ? 'host' : 'user',
    userId: holder.userId,
    projectId: holder.projectId === null ? null : asProjectId(holder.projectId),
    roles: holder.roles,
    serviceRoles: fromToken(credentials.serviceToken)?.roles ?? new Set(),
  };
}

function fromHeaders(credentials: Credentials): TokenHolder {
  return {
    userId: credentials.userId ?? 'admin',
    projectId: credentials.projectId ?? 'default',
    roles: roleSet((credentials.roles ?? 'admin').split(',')),
  };
}

function fromToken(token: string | undefined): TokenHolder | undefined {
  if (token?.includes(':') !== true) return undefined;
  const [userId = '', project = '', roles, ...rest] = token.split(':');
  if (userId === '' || roles === undefined || rest.length > 0) {
    throw new ServiceError('UNAUTHENTICATED', 'Expected a token of the form user:project:role[,role].', {
      details: { www_authenticate: 'Token realm="oriel"' },
    });
  }
  // "none" is how the development pipelines of Glance's clients write "no project".
  const projectId = project === '' || project.toLowerCase() === 'none' ? null : project;
  return { userId, projectId, roles: roleSet(roles.split(',')) };
}
