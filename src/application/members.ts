/** Sharing an image with projects: who may see and do what is the table of the Images API v2, reference §6.11. */
import { asImageId, asProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { exceeds } from '../domain/limits.js';
import type { Member, MemberStatus } from '../domain/member.js';
import { authorize } from '../domain/policy.js';
import { checkText } from '../domain/text.js';
import { managesMembers } from '../domain/visibility.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage, imageNotFound } from './find-image.js';
import { operationOf, wasApplied } from './operation.js';
import type { CatalogReader, Effect } from './ports/catalog.js';
import { writeDecided } from './write-decided.js';

export interface MemberRequest {
  readonly imageId: string;
  readonly memberId: string;
}

/** A page of members, at most `limit` after `after`. */
export interface ListMembersRequest {
  readonly imageId: string;
  readonly after: string;
  /** undefined: all, which the quota bounds. */
  readonly limit: number | undefined;
}

// With the quota switched off a list still comes in bounded pages.
const MEMBERS_PAGE_MAX = 1000;

/** Returns the members that the caller may see: all for the owner, its own row for a member. FORBIDDEN: not shared. */
export async function listMembers(
  context: CatalogContext,
  caller: Caller,
  request: ListMembersRequest,
): Promise<{ readonly members: readonly Member[]; readonly full: boolean }> {
  return context.catalog.read((reader) => {
    const image = findImage(reader, caller, request.imageId);
    authorize('get_members', caller, image);
    if (image.visibility !== 'shared') throw notShared(image);
    if (!managesMembers(caller, image)) {
      const own = caller.projectId === null ? undefined : reader.member(image.id, caller.projectId);
      return { members: own === undefined || own.memberId <= request.after ? [] : [own], full: false };
    }
    const limit = Math.min(request.limit ?? MEMBERS_PAGE_MAX, MEMBERS_PAGE_MAX);
    const members = reader.members(image.id, { after: request.after, limit });
    return { members, full: limit > 0 && members.length === limit };
  });
}

/** Returns one member. NOT_FOUND: no such member, or not the caller's to see. */
export async function getMember(context: CatalogContext, caller: Caller, request: MemberRequest): Promise<Member> {
  return context.catalog.read((reader) => {
    const image = findImage(reader, caller, request.imageId);
    authorize('get_member', caller, image);
    const visible = managesMembers(caller, image) || request.memberId === caller.projectId;
    if (image.visibility !== 'shared' || !visible) throw memberNotFound(request);
    return existingMember(reader, image, request);
  });
}

/** Shares an image. ALREADY_EXISTS: it is a member. FORBIDDEN: not the owner, or not shared. LIMIT_EXCEEDED: too many. */
export async function createMember(
  context: CatalogContext,
  caller: Caller,
  request: MemberRequest & { readonly requestId: string },
): Promise<Member> {
  if (request.memberId === '')
    throw new ServiceError('INVALID_ARGUMENT', 'member must be the id of a project, got an empty text');
  checkText('member', request.memberId);
  const created = await changeMembers(context, caller, { ...request, change: 'add' }, (image, reader) => {
    authorize('add_member', caller, image);
    if (image.visibility !== 'shared') throw notShared(image);
    const memberId = asProjectId(request.memberId);
    if (reader.member(image.id, memberId) !== undefined)
      throw new ServiceError('ALREADY_EXISTS', `project ${memberId} is a member of image ${image.id} already`);
    const quota = context.rules.limits.imageMemberQuota;
    if (exceeds(reader.memberCount(image.id) + 1, quota))
      throw new ServiceError('LIMIT_EXCEEDED', `an image may have at most ${quota} members`);
    const nowMs = context.clock.nowMs();
    const member: Member = { imageId: image.id, memberId, status: 'pending', createdAtMs: nowMs, updatedAtMs: nowMs };
    return { member, effect: { kind: 'insert-member', member } };
  });
  return stillMember(created, request);
}

/** Sets a member's answer. FORBIDDEN: only the member itself and administrators answer. NOT_FOUND: no such member. */
export async function updateMember(
  context: CatalogContext,
  caller: Caller,
  request: MemberRequest & { readonly requestId: string; readonly status: MemberStatus },
): Promise<Member> {
  const updated = await changeMembers(context, caller, { ...request, change: 'answer' }, (image, reader) => {
    authorize('modify_member', caller, image);
    if (!isAdmin(caller) && request.memberId !== caller.projectId)
      throw new ServiceError('FORBIDDEN', 'Only the member itself can accept or reject an image.');
    const before = existingMember(reader, image, request);
    const member: Member = { ...before, status: request.status, updatedAtMs: context.clock.nowMs() };
    return { member, effect: { kind: 'update-member', member } };
  });
  return stillMember(updated, request);
}

/** Stops sharing. FORBIDDEN: not the owner. NOT_FOUND: no such member. */
export async function deleteMember(
  context: CatalogContext,
  caller: Caller,
  request: MemberRequest & { readonly requestId: string },
): Promise<void> {
  await changeMembers(context, caller, { ...request, change: 'remove' }, (image, reader) => {
    authorize('delete_member', caller, image);
    const member = existingMember(reader, image, request);
    return { member, effect: { kind: 'delete-member', imageId: image.id, memberId: member.memberId } };
  });
}

interface MemberDecision {
  readonly member: Member;
  readonly effect: Effect;
}

// The image's lock keeps the quota exact; `require-image` makes sure it is still the shared image that was read. A
// repeated request is answered with the member as it is now, or undefined when it is gone.
async function changeMembers(
  context: CatalogContext,
  caller: Caller,
  request: MemberRequest & { readonly requestId: string; readonly change: 'add' | 'answer' | 'remove' },
  decide: (image: Image, reader: CatalogReader) => MemberDecision,
): Promise<Member | undefined> {
  const id = asImageId(request.imageId);
  if (id === undefined) throw imageNotFound(request.imageId);
  const subject = JSON.stringify([request.change, id, request.memberId]);
  const operation = operationOf(context.ids, caller, request.requestId, subject);
  return writeDecided(context, { id, operation }, (reader) => {
    const image = findImage(reader, caller, id);
    if (wasApplied(reader, operation)) return { result: reader.member(id, asProjectId(request.memberId)), effects: [] };
    const { member, effect } = decide(image, reader);
    return { result: member, effects: [{ kind: 'require-image', id, version: image.version }, effect] };
  });
}

// A member that a repeated request made and another request removed since.
function stillMember(member: Member | undefined, request: MemberRequest): Member {
  if (member === undefined) throw memberNotFound(request);
  return member;
}

function existingMember(reader: CatalogReader, image: Image, request: MemberRequest): Member {
  const member = reader.member(image.id, asProjectId(request.memberId));
  if (member === undefined) throw memberNotFound(request);
  return member;
}

function memberNotFound(request: MemberRequest): ServiceError {
  return new ServiceError(
    'NOT_FOUND',
    `${request.memberId} not found in the member list of the image ${request.imageId}.`,
  );
}

function notShared(image: Image): ServiceError {
  return new ServiceError('FORBIDDEN', `Only shared images have members; image ${image.id} is ${image.visibility}.`);
}
