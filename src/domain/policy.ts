/**
 * Who may do what: the policy names and newest defaults of the Images API (reference §8.3), in one place. A rule sees the
 * caller and the owner of the image; whether the image is visible at all is `visibility.ts`, asked before.
 */
import type { ProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from './caller.js';

/** What a rule is asked about: the owner of the image, or of the image to be. */
export interface PolicyTarget {
  readonly owner: ProjectId | null;
}

type Rule = (caller: Caller, target: PolicyTarget) => boolean;

const admin: Rule = (caller) => isAdmin(caller);
const reader: Rule = (caller) => hasRole(caller, 'reader') || isService(caller);
const member: Rule = (caller) => hasRole(caller, 'member') || isService(caller);
const ownMember: Rule = (caller, target) =>
  isAdmin(caller) || (hasRole(caller, 'member') && owns(caller, target.owner));

const RULES = {
  get_image: reader,
  get_images: reader,
  add_image: ownMember,
  modify_image: ownMember,
  delete_image: ownMember,
  upload_image: ownMember,
  download_image: member,
  publicize_image: admin,
  communitize_image: ownMember,
  get_image_location: (caller, target) =>
    isAdmin(caller) || isService(caller) || (hasRole(caller, 'reader') && owns(caller, target.owner)),
  set_image_location: (caller, target) => ownMember(caller, target) || isService(caller),
  delete_image_location: admin,
  // The calls of version 2.17: `add_image_location` is the owner's too, `locationNaming` says for which stores.
  fetch_image_location: (caller) => isAdmin(caller) || isService(caller),
  add_image_location: (caller, target) => ownMember(caller, target) || isService(caller),
  copy_image: admin,
  // Not one of Glance's: puts an image into a file of the node's host (DESIGN §8, "Identity").
  materialize_image: (caller) => isAdmin(caller) || caller.kind === 'host' || caller.roles.has('host'),
  cache_list: admin,
  cache_image: admin,
  cache_delete: admin,
  cache_clean: admin,
  cache_prune: admin,
  manage_image_cache: admin,
  // Not Glance's either: the scrubber does that there, on the command line of its operators.
  repair_image: admin,
  restore_image: admin,
  stores_info_detail: (caller) => isAdmin(caller) || isService(caller),
  add_member: ownMember,
  delete_member: ownMember,
  get_member: reader,
  get_members: reader,
  modify_member: (caller) => hasRole(caller, 'member'),
  deactivate: ownMember,
  reactivate: ownMember,
  // Not one of Glance's: changing the owner is decided by code there, for administrators only (reference §6.4).
  change_owner: admin,
  // Not one of Glance's: the data of a deactivated image (reference §6.7).
  download_deactivated: admin,
} as const satisfies Record<string, Rule>;

export type PolicyName = keyof typeof RULES;

/** Tells whether the rule lets the caller do this. */
export function allows(name: PolicyName, caller: Caller, target: PolicyTarget): boolean {
  return RULES[name](caller, target);
}

/** Throws FORBIDDEN unless the rule lets the caller do this. */
export function authorize(name: PolicyName, caller: Caller, target: PolicyTarget): void {
  if (!allows(name, caller, target))
    throw new ServiceError('FORBIDDEN', `You are not authorized to complete ${name} action.`, {
      details: { policy: name },
    });
}

/** Tells whether the caller's project owns an image of this owner. */
export function owns(caller: Caller, owner: ProjectId | null): boolean {
  return owner !== null && owner === caller.projectId;
}

/** Tells whether the caller is a compute host or another OpenStack service. */
export function isService(caller: Caller): boolean {
  return caller.kind !== 'user' || caller.roles.has('service');
}

// Keystone's implied roles (admin implies member implies reader) come expanded in its tokens; the other ways to
// authenticate name one role, so the same order is applied here.
const IMPLIED_BY = {
  member: ['member', 'manager', 'admin'],
  reader: ['reader', 'member', 'manager', 'admin'],
} as const;

function hasRole(caller: Caller, role: keyof typeof IMPLIED_BY): boolean {
  return IMPLIED_BY[role].some((name) => caller.roles.has(name));
}
