import type { ProjectId } from '../base/brand.js';
import { type Caller, isAdmin } from './caller.js';
import { type Image, VISIBILITIES, type Visibility } from './image.js';
import type { ListScope } from './image-query.js';
import { MEMBER_STATUSES, type MemberStatus } from './member.js';
import { isService, owns } from './policy.js';

/** What of an image decides who may see it, besides its members. */
export interface Sight {
  readonly owner: ProjectId | null;
  readonly visibility: Visibility;
}

/**
 * Tells whether the caller may see the image by id (Images API v2 §8.1). `isMember` says whether the caller's project is a
 * member of it, in any status; it is asked only when that decides.
 */
export function mayView(caller: Caller, image: Image, isMember: () => boolean): boolean {
  // Images API v2 §4.1: an image whose data awaits the scrubber is deleted to everyone.
  if (image.status === 'pending_delete') return false;
  return image.status !== 'deleted' && isInSight(caller, image, isMember);
}

/** As `mayView`, whatever became of the image. */
export function isInSight(caller: Caller, { owner, visibility }: Sight, isMember: () => boolean): boolean {
  if (seesEverything(caller) || owns(caller, owner)) return true;
  if (visibility === 'public' || visibility === 'community') return true;
  // An image without an owner is a legacy of v1: everyone sees it by id, only an administrator changes it.
  if (owner === null) return true;
  return visibility === 'shared' && isMember();
}

/** Tells whether the caller sees all members of the image (Images API v2 §6.11); a member sees itself alone. */
export function managesMembers(caller: Caller, { owner }: Pick<Sight, 'owner'>): boolean {
  return seesEverything(caller) || owns(caller, owner);
}

/** What a list asks for: `default` is the list without the filter. */
export type VisibilityFilter = 'default' | 'all' | Visibility;

/** Makes the scope of a list from the caller and its `visibility` and `member_status` filters (reference §6.2). */
export function listScope(
  caller: Caller,
  filter: VisibilityFilter,
  memberStatus: MemberStatus | 'all' = 'accepted',
): ListScope {
  const statuses = memberStatus === 'all' ? MEMBER_STATUSES : [memberStatus];
  if (seesEverything(caller)) return scopeOfAdmin(caller, filter);
  const own = (visibilities: readonly Visibility[]) =>
    caller.projectId === null ? null : { projectId: caller.projectId, visibilities };
  const member = caller.projectId === null ? null : { projectId: caller.projectId, statuses };
  switch (filter) {
    case 'default':
      return { anyOwner: ['public'], own: own(VISIBILITIES), member };
    case 'all':
      return { anyOwner: ['public', 'community'], own: own(VISIBILITIES), member };
    case 'public':
    case 'community':
      return { anyOwner: [filter], own: null, member: null };
    case 'private':
      return { anyOwner: [], own: own(['private']), member: null };
    case 'shared':
      return { anyOwner: [], own: own(['shared']), member };
  }
}

function scopeOfAdmin(caller: Caller, filter: VisibilityFilter): ListScope {
  if (filter === 'all') return { anyOwner: VISIBILITIES, own: null, member: null };
  if (filter !== 'default') return { anyOwner: [filter], own: null, member: null };
  return {
    anyOwner: ['public', 'private', 'shared'],
    own: caller.projectId === null ? null : { projectId: caller.projectId, visibilities: ['community'] },
    member: null,
  };
}

// A compute host boots images of every project, so it sees them all; what it may change is the policy's matter.
function seesEverything(caller: Caller): boolean {
  return isAdmin(caller) || (isService(caller) && caller.kind !== 'user');
}
