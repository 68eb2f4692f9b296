import { describe, expect, test } from 'vitest';
import { asImageId, asNodeId, asObjectKey, asStoreId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import { DamageReports, type Suspect } from './damage-reports.js';
import type { ImageStore } from './ports/image-store.js';
import type { LocationReport } from './ports/node-commands.js';
import { StoreRegistry } from './store-registry.js';

const here = asNodeId('here');
const imageId = asImageId('11111111-1111-4111-8111-111111111111') ?? expect.fail();
const key = asObjectKey('x/u.data') ?? expect.fail();

const data: ImageData = {
  ...{ sizeBytes: 10, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null },
  ...{ locations: [], fileMap: null },
};

function suspect(id: string, changes: Partial<Location> = {}): Suspect {
  const location: Location = {
    ...{ id, nodeId: here, storeId: asStoreId('fast'), key, metadata: new Map(), digest: 'verified', created: true },
    ...changes,
  };
  return { imageId, location, data };
}

/** What `stat` finds may be set; `reports` fill as they are sent, and `answers` says what becomes of them. */
function setUp() {
  const reports: LocationReport[] = [];
  const state = {
    nowMs: 0,
    stat: (): Promise<{ sizeBytes: number } | undefined> => Promise.resolve(undefined),
    answer: (): Promise<boolean> => Promise.resolve(true),
    logged: '',
  };
  const store: ImageStore = {
    ...{ id: asStoreId('fast'), type: 'file', stat: () => state.stat(), url: () => '' },
    ...{ put: () => Promise.reject(new Error('no')), delete: () => Promise.resolve(false) },
    ...{ capacity: () => Promise.resolve(undefined), check: () => Promise.resolve() },
    // eslint-disable-next-line @typescript-eslint/require-await -- it is never read.
    async *read() {
      throw new Error('no');
    },
  };
  const registered = { store, description: '', weight: 0, properties: new Map<string, string>() };
  const damage = new DamageReports({
    ...{ nodeId: here, ownsUnnamed: true, peers: null, storeIdleMs: 1000 },
    ...{ maps: { of: () => Promise.resolve(null) } as never, unitDigest: () => new Uint8Array(32) },
    stores: new StoreRegistry([registered], store.id),
    timer: { elapsedMs: () => state.nowMs, schedule: () => () => undefined },
    log: {
      ...{ info: () => undefined, warn: () => undefined },
      error: (fields: object) => void (state.logged += JSON.stringify(fields)),
    },
    commands: {
      reportLocation: (report) => {
        reports.push(report);
        return state.answer();
      },
      ...{ abortUpload: () => Promise.resolve(), forgetGarbage: () => Promise.resolve() },
      endRepair: () => Promise.resolve(),
    },
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  return { damage, reports, state, settle };
}

describe('reports of damage', () => {
  test('are one a location, whoever meets it, and another after a while', async () => {
    const { damage, reports, state, settle } = setUp();
    for (let reader = 0; reader < 1000; reader += 1) damage.note(suspect('a'), 'damaged');
    await settle();
    for (let reader = 0; reader < 1000; reader += 1) damage.note(suspect('a'), 'damaged');
    await settle();
    expect(reports).toEqual([{ imageId, locationId: 'a', key, found: 'damaged' }]);
    expect(damage.marked).toBe(1);
    state.nowMs = 61_000;
    damage.note(suspect('a'), 'damaged');
    expect(reports).toHaveLength(2);
  });

  test('are not made of what is marked already', async () => {
    const { damage, reports, settle } = setUp();
    damage.note(suspect('a', { damage: 'damaged' }), 'damaged');
    await settle();
    expect(reports).toEqual([]);
  });

  test('say that an object is missing only when its store answers so', async () => {
    const { damage, reports, state, settle } = setUp();
    state.stat = () => Promise.reject(new ServiceError('UNAVAILABLE', 'not mounted'));
    damage.note(suspect('down'), 'missing');
    state.stat = () => Promise.resolve({ sizeBytes: 10 });
    damage.note(suspect('back again'), 'missing');
    damage.note(suspect('not configured', { storeId: asStoreId('other') }), 'missing');
    await settle();
    expect(reports).toEqual([]);
    state.stat = () => Promise.resolve({ sizeBytes: 9 });
    damage.note(suspect('cut'), 'missing');
    await settle();
    expect(reports.map(({ locationId }) => locationId)).toEqual(['cut']);
  });

  test('name the URL of no mirror in the log', async () => {
    const { damage, state } = setUp();
    await damage.tell(suspect('a'), 'damaged');
    expect(state.logged).toContain(key);
    state.logged = '';
    await damage.tell(suspect('b', { created: false }), 'damaged');
    expect(state.logged).toMatch(/"location":"b"/);
    expect(state.logged).not.toContain(key);
  });

  test('of damage at a mirror are made only when the node has looked itself', async () => {
    const { damage, reports, state, settle } = setUp();
    state.stat = () => Promise.resolve({ sizeBytes: 10 });
    damage.note(suspect('replaced', { created: false }), 'damaged');
    damage.note(suspect('of another node', { created: false, nodeId: asNodeId('there') }), 'damaged');
    await settle();
    expect(reports.map(({ locationId }) => locationId)).toEqual(['of another node']);
    state.stat = () => Promise.resolve({ sizeBytes: 11 });
    damage.note(suspect('another object', { created: false }), 'damaged');
    await settle();
    expect(reports.at(-1)).toMatchObject({ locationId: 'another object', found: 'missing' });
  });

  test('also say that what is marked is whole', async () => {
    const { damage, reports, state } = setUp();
    state.answer = () => Promise.resolve(false);
    await damage.tell(suspect('a', { damage: 'missing' }), 'whole');
    expect(reports).toEqual([{ imageId, locationId: 'a', key, found: 'whole' }]);
    expect(damage.marked).toBe(0);
  });

  test('are few at a time while the authority does not answer', async () => {
    const { damage, reports, state, settle } = setUp();
    state.answer = () => new Promise(() => undefined);
    for (let index = 0; index < 100; index += 1) damage.note(suspect(`l${index}`), 'damaged');
    await settle();
    expect(reports).toHaveLength(8);
  });
});
