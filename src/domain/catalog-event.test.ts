import { describe, expect, it } from 'vitest';
import { asImageId, asProjectId, type ImageId } from '../base/brand.js';
import type { Caller } from './caller.js';
import { asSeenBy, type CatalogEvent } from './catalog-event.js';
import type { Visibility } from './image.js';

const imageId = asImageId('11111111-1111-4111-8111-111111111111') as ImageId;
const owner = asProjectId('owner');
const memberId = asProjectId('member');

function caller(project: string, roles: readonly string[] = ['member'], kind: Caller['kind'] = 'user'): Caller {
  return {
    ...{ kind, userId: 'u', projectId: asProjectId(project), roles: new Set(roles), serviceRoles: new Set() },
  };
}

const CALLERS = {
  owner: caller('owner'),
  member: caller('member'),
  other: caller('other'),
  admin: caller('x', ['admin']),
  host: caller('x', [], 'host'),
};

/** Who is told of the event, and as what when it is another; `member` is a member of the image. */
function told(event: CatalogEvent, visibility: Visibility): string[] {
  return Object.entries(CALLERS).flatMap(([name, who]) => {
    const isMember = (): boolean => who.projectId === memberId;
    const seen = asSeenBy(who, event, { owner, visibility, isMember });
    return seen === undefined ? [] : [seen.kind === event.kind ? name : `${name}: ${seen.kind}`];
  });
}

const created: CatalogEvent = { kind: 'image-created', imageId, version: 1, status: 'queued' };
const updated = (was: Visibility | null): CatalogEvent => {
  const before = was === null ? null : { owner, visibility: was };
  return { kind: 'image-updated', imageId, version: 2, status: 'active', before };
};
const deleted: CatalogEvent = { kind: 'image-deleted', imageId, version: 3, members: [memberId] };
const unshared: CatalogEvent = { kind: 'member-deleted', imageId, memberId };
const ALL = ['owner', 'member', 'other', 'admin', 'host'];
const SHARED = ['owner', 'member', 'admin', 'host'];
const PRIVATE = ['owner', 'admin', 'host'];

describe('asSeenBy', () => {
  it.each([
    [created, 'public', ALL],
    [created, 'shared', SHARED],
    [created, 'private', PRIVATE],
    [updated(null), 'private', PRIVATE],
    [updated('private'), 'community', ALL],
    [updated('shared'), 'private', ['owner', 'member: image-withdrawn', 'admin', 'host']],
    [updated('public'), 'shared', ['owner', 'member', 'other: image-withdrawn', 'admin', 'host']],
    [deleted, 'community', ALL],
    [deleted, 'shared', SHARED],
    // Made private a moment before: the member may not have heard of that yet.
    [deleted, 'private', SHARED],
    [unshared, 'shared', SHARED],
    [unshared, 'private', SHARED],
    [unshared, 'public', SHARED],
  ] as const)('tells %j of a %s image to %j', (event, visibility, expected) => {
    expect(told(event, visibility)).toEqual(expected);
  });

  it('tells the project that an image was taken from', () => {
    const event: CatalogEvent = {
      ...{ kind: 'image-updated', imageId, version: 2, status: 'active' },
      before: { owner: asProjectId('other'), visibility: 'private' },
    };
    expect(told(event, 'private')).toEqual(['owner', 'other: image-withdrawn', 'admin', 'host']);
  });
});
