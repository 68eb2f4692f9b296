import { describe, expect, it } from 'vitest';
import { asImageId, asNodeId, asObjectKey, asProjectId, asStoreId } from '../base/brand.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import { NO_PROTECTION } from '../domain/property-protection.js';
import { ImageView } from './image-view.js';

const owner = asProjectId('a');
const caller = (...roles: readonly string[]): Caller => ({
  ...{ kind: 'user', userId: 'u', projectId: owner, roles: new Set(roles), serviceRoles: new Set() },
});

function location(id: string, damage?: Location['damage'], digest: Location['digest'] = 'verified'): Location {
  const key = asObjectKey(`bucket/${id}`) ?? expect.fail();
  return {
    ...{ id, nodeId: asNodeId('n1'), storeId: asStoreId('s3'), key, metadata: new Map(), digest },
    ...{ created: true, ...(damage === undefined ? {} : { damage }) },
  };
}

function image(status: 'active' | 'deactivated', locations: readonly Location[]): Image {
  return {
    id: asImageId('11111111-1111-4111-8111-111111111111') ?? expect.fail(),
    ...{ version: 3, name: null, owner, visibility: 'shared', protected: false, osHidden: false, tags: [] },
    ...{ diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
    ...{ properties: new Map(), status },
    data: {
      ...{ sizeBytes: 1, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null, fileMap: null },
      locations,
    },
  };
}

const view = new ImageView({
  ...{ protection: NO_PROTECTION, showLocations: true, showDirectUrl: true, showStores: false },
  url: ({ id }) => `plain:${id}`,
  directUrl: ({ id }) => `signed:${id}`,
});

describe('signed URLs', () => {
  const two = [location('one'), location('two')];

  it('are for those who may download the image', () => {
    const message = view.message(caller('member'), image('active', two));
    expect(message.directUrl).toBe('signed:one');
    expect(message.locations.map(({ directUrl }) => directUrl)).toEqual(['signed:one', 'signed:two']);
  });

  it('are not for readers, who see where the image lies', () => {
    const message = view.message(caller('reader'), image('active', two));
    expect(message.directUrl).toBe('plain:one');
    expect(message.locations.map(({ url }) => url)).toEqual(['plain:one', 'plain:two']);
    expect(message.locations.map(({ directUrl }) => directUrl)).toEqual([undefined, undefined]);
  });

  it('of a deactivated image are the administrators’ alone', () => {
    const deactivated = image('deactivated', two);
    const seenBy = (who: Caller) => view.locations(who, deactivated).map(({ directUrl }) => directUrl);
    expect(seenBy(caller('service'))).toEqual([undefined, undefined]);
    expect(seenBy(caller('admin'))).toEqual(['signed:one', 'signed:two']);
  });

  it('are never of other bytes, and of what is missing only when there are no others', () => {
    const member = caller('member');
    const mixed = view.message(member, image('active', [location('one', 'damaged'), location('two')]));
    expect(mixed.directUrl).toBe('signed:two');
    expect(mixed.locations.map(({ directUrl }) => directUrl)).toEqual([undefined, 'signed:two']);
    expect(view.message(member, image('active', [location('one', 'damaged')])).directUrl).toBeUndefined();
    expect(view.message(member, image('active', [location('one', 'missing')])).directUrl).toBe('signed:one');
    const shown = view.message(caller('reader'), image('active', [location('one', 'missing'), location('two')]));
    expect(shown.directUrl).toBe('plain:two');
  });

  it('CVE-2022-4134: are of what nobody has read only when there is nothing else', () => {
    const unread = location('one', undefined, 'unverified');
    expect(view.message(caller('member'), image('active', [unread, location('two')])).directUrl).toBe('signed:two');
    expect(view.message(caller('reader'), image('active', [unread, location('two')])).directUrl).toBe('plain:two');
    expect(view.message(caller('member'), image('active', [unread])).directUrl).toBe('signed:one');
  });
});
