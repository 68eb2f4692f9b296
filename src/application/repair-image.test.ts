import { describe, expect, test } from 'vitest';
import { asImageId, asNodeId, asObjectKey, asStoreId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Image, ImageData } from '../domain/image.js';
import type { Damage, Location } from '../domain/location.js';
import type { CatalogReader, Effect } from './ports/catalog.js';
import { ImageTurns } from './image-turns.js';
import { repairImage } from './repair-image.js';
import { reportLocation } from './report-location.js';

const here = asNodeId('here');
const id = asImageId('11111111-1111-4111-8111-111111111111') ?? expect.fail();
const key = asObjectKey('mirror/disk.raw') ?? expect.fail();

function imageWith(fields: Partial<Location>): Image {
  const location: Location = {
    ...{
      id: 'l',
      nodeId: here,
      storeId: asStoreId('web'),
      key,
      metadata: new Map(),
      digest: 'verified',
      created: false,
    },
    ...fields,
  };
  const data: ImageData = {
    ...{ sizeBytes: 10, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null },
    ...{ locations: [location], fileMap: null },
  };
  return {
    ...{ id, version: 1, name: null, owner: null, visibility: 'shared', protected: false, osHidden: false },
    ...{ diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
    ...{ tags: [], properties: new Map(), status: 'active', data },
  };
}

/** A node that is its own authority, with one image at a mirror that has an object of `size` bytes. */
function setUp(fields: Partial<Location>) {
  const state = {
    image: imageWith(fields),
    size: 10 as number | undefined | ServiceError,
    ended: 0,
    work: 0,
  };
  const reader = { image: () => state.image, imageVersion: () => state.image.version } as unknown as CatalogReader;
  const catalog = {
    read: <T>(query: (of: CatalogReader) => T) => Promise.resolve(query(reader)),
    write: (effects: readonly Effect[]) => {
      for (const effect of effects) if (effect.kind === 'update-image') state.image = effect.after;
      state.work += effects.filter(({ kind }) => kind === 'put-work').length;
      return Promise.resolve({ replayed: false });
    },
  };
  const ground = {
    catalog,
    ids: { uuid: () => 'op' },
    clock: { nowMs: () => 0 },
    turns: new ImageTurns(),
    nodeId: here,
  };
  const store = {
    stat: () =>
      state.size instanceof ServiceError
        ? Promise.reject(state.size)
        : Promise.resolve(state.size === undefined ? undefined : { sizeBytes: state.size }),
  };
  const context = {
    ...{ ...ground, ownsUnnamed: true, peers: null, storeIdleMs: 1000 },
    timer: { elapsedMs: () => 0, schedule: () => () => undefined },
    stores: { get: (name: string) => (name === 'web' ? store : undefined) },
    damage: {
      tell: ({ location }: { location: Location }, found: Damage | 'whole') =>
        reportLocation(ground as never, here, { imageId: id, locationId: location.id, key: location.key, found }),
    },
    commands: { endRepair: () => Promise.resolve(void (state.ended += 1)) },
  };
  const look = (failures = 0) => repairImage(context as never, id, new AbortController().signal, failures);
  const mark = () => ('data' in state.image ? state.image.data.locations[0]?.damage : undefined);
  return { state, look, mark };
}

describe('a look at an image', () => {
  test('takes the mark from a mirror that has its object again', async () => {
    const { state, look, mark } = setUp({ damage: 'missing' });
    await look();
    expect([mark(), state.image.version, state.ended]).toEqual([undefined, 2, 1]);
  });

  test('leaves the mark on content that was refused, which has no map: its size says nothing', async () => {
    const { state, look, mark } = setUp({ damage: 'damaged' });
    await look();
    expect([mark(), state.image.version, state.ended]).toEqual(['damaged', 1, 1]);
  });

  test('takes the mark from an object of its own that is back, and does not replace it', async () => {
    const { look, mark } = setUp({ damage: 'missing', created: true });
    await look();
    expect(mark()).toBeUndefined();
  });

  test('comes again for a mirror that has no object now, and not for ever', async () => {
    const { state, look, mark } = setUp({});
    state.size = undefined;
    await expect(look()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect([mark(), state.work, state.ended]).toEqual(['missing', 1, 0]);
    await expect(look(20)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await look(1000);
    expect([mark(), state.ended]).toEqual(['missing', 1]);
    state.size = 10;
    await look();
    expect(mark()).toBeUndefined();
  });

  test('leaves marks alone where a store does not answer, or is not configured', async () => {
    const down = setUp({ damage: 'missing' });
    down.state.size = new ServiceError('UNAVAILABLE', 'down');
    await expect(down.look()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(down.mark()).toBe('missing');
    const absent = setUp({ damage: 'missing', storeId: asStoreId('other'), created: true });
    await absent.look();
    expect([absent.mark(), absent.state.ended]).toEqual(['missing', 1]);
  });

  test('does not believe another node that a location is whole', async () => {
    const { state, mark } = setUp({ damage: 'missing' });
    const ground = {
      catalog: {
        read: (query: (reader: object) => unknown) => Promise.resolve(query({ image: () => state.image })),
        write: () => Promise.reject(new Error('nothing is to be written')),
      },
      ...{ ids: { uuid: () => 'op' }, clock: { nowMs: () => 0 }, turns: new ImageTurns(), nodeId: here },
    };
    const report = { imageId: id, locationId: 'l', key, found: 'whole' } as const;
    expect(await reportLocation(ground as never, asNodeId('there'), report)).toBe(false);
    expect(mark()).toBe('missing');
  });
});
