import { describe, expect, it } from 'vitest';
import { asImageId, asProjectId, type ImageId } from '../base/brand.js';
import type { Caller } from './caller.js';
import type { Image, Visibility } from './image.js';
import { listScope, mayView } from './visibility.js';

const id = asImageId('11111111-1111-4111-8111-111111111111') as ImageId;

function image(visibility: Visibility, owner: string | null = 'a'): Image {
  return {
    ...{ id, version: 1, name: null, owner: owner === null ? null : asProjectId(owner), visibility, protected: false },
    ...{ osHidden: false, diskFormat: null, containerFormat: null, minDiskGib: 0, minRamMib: 0 },
    ...{ createdAtMs: 0, updatedAtMs: 0, tags: [], properties: new Map(), status: 'queued' },
  };
}

function caller(
  projectId: string | null,
  roles: readonly string[] = ['member'],
  kind: Caller['kind'] = 'user',
): Caller {
  return {
    ...{ kind, userId: 'u', projectId: projectId === null ? null : asProjectId(projectId) },
    ...{ roles: new Set(roles), serviceRoles: new Set() },
  };
}

describe('mayView', () => {
  it.each([
    ['public', 'b', false, true],
    ['community', 'b', false, true],
    ['shared', 'b', false, false],
    ['shared', 'b', true, true],
    ['private', 'b', true, false],
    ['private', 'a', false, true],
    ['shared', 'a', false, true],
  ] as const)('shows a %s image of a to %s (member: %s): %s', (visibility, project, isMember, expected) => {
    expect(mayView(caller(project), image(visibility), () => isMember)).toBe(expected);
  });

  it('shows every image but deleted ones to administrators and hosts', () => {
    expect(mayView(caller('b', ['admin']), image('private'), () => false)).toBe(true);
    expect(mayView(caller(null, [], 'host'), image('private'), () => false)).toBe(true);
    const deleted: Image = { ...image('public'), status: 'deleted', deletedAtMs: 1 };
    expect(mayView(caller('a', ['admin']), deleted, () => true)).toBe(false);
  });

  it('shows an image without an owner to everyone by id', () => {
    expect(mayView(caller('b'), image('private', null), () => false)).toBe(true);
  });

  it('does not take a caller without a project for the owner of an image without one', () => {
    expect(mayView(caller(null), image('shared'), () => false)).toBe(false);
  });
});

describe('listScope', () => {
  it('gives a member public, own and accepted shared images', () => {
    expect(listScope(caller('b'), 'default')).toEqual({
      anyOwner: ['public'],
      own: { projectId: 'b', visibilities: ['public', 'private', 'shared', 'community'] },
      member: { projectId: 'b', statuses: ['accepted'] },
    });
  });

  it('gives an administrator all but the community images of others', () => {
    expect(listScope(caller('b', ['admin']), 'default')).toEqual({
      anyOwner: ['public', 'private', 'shared'],
      own: { projectId: 'b', visibilities: ['community'] },
      member: null,
    });
  });

  it('keeps private lists to the own project', () => {
    expect(listScope(caller('b'), 'private')).toEqual({
      anyOwner: [],
      own: { projectId: 'b', visibilities: ['private'] },
      member: null,
    });
  });

  it('takes memberships of any status when asked for all', () => {
    expect(listScope(caller('b'), 'shared', 'all').member?.statuses).toEqual(['pending', 'accepted', 'rejected']);
  });
});
