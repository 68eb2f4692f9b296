import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog, Effect } from '../../src/application/ports/catalog.js';
import type { ImageId, NodeId, ObjectKey, ProjectId, StoreId, UploadId } from '../../src/base/brand.js';
import type { ClusterNode } from '../../src/domain/cluster-node.js';
import type { FoundLocation } from '../../src/domain/location-change.js';
import type { Image, ImageCommon, ImageState } from '../../src/domain/image.js';
import type { ImageQuery } from '../../src/domain/image-query.js';
import type { Member } from '../../src/domain/member.js';

const NODE = 'n' as NodeId;
const ID = '00000000-0000-4000-8000-000000000001' as ImageId;
const OTHER = '00000000-0000-4000-8000-000000000002' as ImageId;
const P = 'project-a' as ProjectId;
const Q = 'project-b' as ProjectId;
const EVERYTHING: ImageQuery = {
  scope: { anyOwner: ['public', 'private', 'shared', 'community'], own: null, member: null },
  osHidden: false,
  protected: null,
  owner: null,
  ids: [],
  names: [],
  statuses: [],
  diskFormats: [],
  containerFormats: [],
  checksum: null,
  osHashValue: null,
  tags: [],
  properties: [],
  integers: [],
  times: [],
  sort: [],
  after: null,
  limit: 100,
};

function image(id: ImageId, changes: Partial<ImageCommon> = {}, state: ImageState = { status: 'queued' }): Image {
  return {
    id,
    version: 1,
    name: 'cirros',
    owner: P,
    visibility: 'shared',
    protected: false,
    osHidden: false,
    diskFormat: 'raw',
    containerFormat: 'bare',
    minDiskGib: 0,
    minRamMib: 0,
    createdAtMs: 1_700_000_000_123,
    updatedAtMs: 1_700_000_000_123,
    tags: ['a', 'b'],
    properties: new Map([['os', 'linux']]),
    ...changes,
    ...state,
  };
}

function member(memberId: ProjectId, status: Member['status'], imageId = ID): Member {
  return { imageId, memberId, status, createdAtMs: 5, updatedAtMs: 6 };
}

const ACTIVE: ImageState & { readonly status: 'active' } = {
  status: 'active',
  data: {
    sizeBytes: 5_000_000_000_123,
    virtualSizeBytes: 2 ** 53 - 1,
    checksum: 'c'.repeat(32),
    osHashAlgo: 'sha512',
    osHashValue: 'd'.repeat(128),
    locations: [
      {
        id: 'l1',
        nodeId: null,
        storeId: 'file' as StoreId,
        key: 'a/b' as ObjectKey,
        metadata: new Map([['__proto__', 'x']]),
        digest: 'verified',
        created: true,
      },
      {
        id: 'l2',
        nodeId: 'n1' as NodeId,
        storeId: 'mirror' as StoreId,
        key: 'elsewhere' as ObjectKey,
        metadata: new Map(),
        digest: 'unverified',
        created: false,
        damage: 'missing',
      },
    ],
    fileMap: { storeId: 'file' as StoreId, key: 'a/b.map' as ObjectKey, sizeBytes: 2 ** 40, sha256: 'e'.repeat(64) },
  },
};

/** Opens an empty catalog in the folder. */
type OpenCatalog = (directory: string) => Promise<{ readonly catalog: Catalog; readonly close: () => Promise<void> }>;

/** What every catalog that takes writes does. Each case has an empty one. */
export function catalogCases(open: OpenCatalog): void {
  let directory: string;
  let catalog: Catalog;
  let close: () => Promise<void>;
  let operations = 0;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'oriel-catalog-'));
    ({ catalog, close } = await open(directory));
  });
  afterEach(async () => {
    await close();
    rmSync(directory, { recursive: true });
  });

  async function write(...effects: Effect[]): Promise<unknown> {
    operations += 1;
    return await catalog.write(effects, { opId: `op-${operations}`, subject: 'test' });
  }

  const show = async (id: ImageId): Promise<Image | undefined> => await catalog.read((reader) => reader.image(id));
  const list = async (changes: Partial<ImageQuery> = {}): Promise<string[]> =>
    (await catalog.listImages({ ...EVERYTHING, ...changes })).map((found) => found.id);

  describe('images', () => {
    test('come back as they were written: 4-byte text, quotes, __proto__ and sizes beyond 2^31', async () => {
      const written = image(
        ID,
        {
          name: `it's "𝔬𝔯𝔦𝔢𝔩" \\ 💿`,
          tags: ["'", '💿', '__proto__'],
          properties: new Map([
            ['__proto__', 'polluted'],
            ['constructor', '"'],
            ["a'b", '💿\u0001'],
          ]),
          protected: true,
        },
        ACTIVE,
      );
      await write({ kind: 'insert-image', image: written });
      expect(await show(ID)).toEqual(written);
      expect(await list({ properties: [{ name: '__proto__', value: 'polluted' }] })).toEqual([ID]);
      expect(await list({ tags: ["'", '💿'] })).toEqual([ID]);
      expect(await list({ names: [written.name ?? ''] })).toEqual([ID]);
    });

    test('are the same object while unchanged, from show and list', async () => {
      await write({ kind: 'insert-image', image: image(ID) });
      const first = await show(ID);
      expect(await show(ID)).toBe(first);
      expect((await catalog.listImages(EVERYTHING))[0]).toBe(first);
      const before = image(ID);
      await write({ kind: 'update-image', before, after: image(ID, { version: 2, name: 'new' }) });
      const second = (await catalog.listImages(EVERYTHING))[0];
      expect(second).not.toBe(first);
      expect(second?.name).toBe('new');
      expect(await show(ID)).toBe(second);
    });

    test('have an id that is never used twice, also after deletion; letter case counts', async () => {
      const lower = 'abcdef00-0000-4000-8000-000000000001' as ImageId;
      await write({ kind: 'insert-image', image: image(lower) });
      await expect(write({ kind: 'insert-image', image: image(lower) })).rejects.toMatchObject({
        reason: 'ALREADY_EXISTS',
      });
      await write({ kind: 'delete-image', before: image(lower), deletedAtMs: 9, members: [] });
      await expect(write({ kind: 'insert-image', image: image(lower) })).rejects.toMatchObject({
        reason: 'ALREADY_EXISTS',
      });
      await write({ kind: 'insert-image', image: image(lower.toUpperCase() as ImageId) });
      expect(await show(lower)).toMatchObject({ status: 'deleted', deletedAtMs: 9, version: 2, tags: [] });
      expect(await list()).toEqual([lower.toUpperCase()]);
    });

    test('are found by what they are now, not by what they were', async () => {
      const before = image(ID, {}, ACTIVE);
      await write({ kind: 'insert-image', image: before }, { kind: 'insert-member', member: member(Q, 'accepted') });
      const asMember = {
        scope: { anyOwner: [], own: null, member: { projectId: Q, statuses: ['accepted'] } },
      } as const;
      expect(await list(asMember)).toEqual([ID]);
      const after = image(
        ID,
        { version: 2, name: null, owner: Q, osHidden: true, tags: ['b', 'c'], properties: new Map(), updatedAtMs: 7 },
        { status: 'deactivated', data: { ...ACTIVE.data, sizeBytes: 1 } },
      );
      await write({ kind: 'update-image', before, after });
      for (const sort of [[], [{ field: 'name', ascending: true }], [{ field: 'size', ascending: false }]] as const) {
        expect(await list({ sort })).toEqual([]);
        expect(await list({ sort, osHidden: true })).toEqual([ID]);
        expect(await list({ sort, osHidden: true, ...asMember })).toEqual([ID]);
        expect(await list({ sort, osHidden: true, tags: ['c'] })).toEqual([ID]);
        expect(await list({ sort, osHidden: true, tags: ['a'] })).toEqual([]);
        expect(await list({ sort, osHidden: true, owner: P })).toEqual([]);
        expect(await list({ sort, osHidden: true, owner: Q, statuses: ['deactivated'] })).toEqual([ID]);
        expect(await list({ sort, osHidden: true, names: ['cirros'] })).toEqual([]);
      }
    });

    test('that are killed or deleted are in no list; uploads and members go with the deletion', async () => {
      await write({ kind: 'insert-image', image: image(ID) }, { kind: 'insert-member', member: member(Q, 'accepted') });
      await write({ kind: 'update-image', before: image(ID), after: image(ID, { version: 2 }, { status: 'killed' }) });
      expect(await list()).toEqual([]);
      await write({
        kind: 'delete-image',
        before: image(ID, { version: 2 }, { status: 'killed' }),
        deletedAtMs: 9,
        members: [],
      });
      expect(await list({ ids: [ID] })).toEqual([]);
      expect(await catalog.read((reader) => reader.memberCount(ID))).toBe(0);
    });

    test('change only from the version and status that was read', async () => {
      await write({ kind: 'insert-image', image: image(ID) });
      const conflict = { reason: 'VERSION_CONFLICT' };
      const after = image(ID, { version: 3 });
      await expect(write({ kind: 'update-image', before: image(ID, { version: 2 }), after })).rejects.toMatchObject(
        conflict,
      );
      const killed = image(ID, {}, { status: 'killed' });
      await expect(write({ kind: 'delete-image', before: killed, deletedAtMs: 1, members: [] })).rejects.toMatchObject(
        conflict,
      );
      await expect(write({ kind: 'require-image', id: ID, version: 2 })).rejects.toMatchObject(conflict);
      await expect(write({ kind: 'require-image', id: OTHER, version: 1 })).rejects.toMatchObject(conflict);
      await write({ kind: 'require-image', id: ID, version: 1 });
      expect((await show(ID))?.version).toBe(1);
    });
  });

  describe('members, uploads and garbage', () => {
    test('members are inserted once, updated, listed in order and deleted', async () => {
      await write({ kind: 'insert-image', image: image(ID) });
      await write({ kind: 'insert-member', member: member(Q, 'pending') });
      await expect(write({ kind: 'insert-member', member: member(Q, 'pending') })).rejects.toMatchObject({
        reason: 'ALREADY_EXISTS',
      });
      await expect(write({ kind: 'insert-member', member: member(Q, 'pending', OTHER) })).rejects.toMatchObject({
        reason: 'NOT_FOUND',
      });
      await expect(write({ kind: 'update-member', member: member(P, 'accepted') })).rejects.toMatchObject({
        reason: 'NOT_FOUND',
      });
      await write({ kind: 'insert-member', member: member(P, 'rejected') });
      const visible = async (status: Member['status']): Promise<string[]> =>
        await list({ scope: { anyOwner: [], own: null, member: { projectId: Q, statuses: [status] } } });
      expect(await visible('pending')).toEqual([ID]);
      await write({ kind: 'update-member', member: member(Q, 'accepted') });
      expect(await visible('pending')).toEqual([]);
      expect(await visible('accepted')).toEqual([ID]);
      expect(await catalog.read((reader) => reader.members(ID, { after: '', limit: 10 }))).toEqual([
        member(P, 'rejected'),
        member(Q, 'accepted'),
      ]);
      expect(await catalog.read((reader) => reader.members(ID, { after: P, limit: 10 }))).toEqual([
        member(Q, 'accepted'),
      ]);
      expect(await catalog.read((reader) => reader.memberCount(ID))).toBe(2);
      await write({ kind: 'delete-member', imageId: ID, memberId: Q });
      expect(await visible('accepted')).toEqual([]);
      expect(await catalog.read((reader) => reader.member(ID, Q))).toBeUndefined();
      await expect(write({ kind: 'delete-member', imageId: ID, memberId: Q })).rejects.toMatchObject({
        reason: 'NOT_FOUND',
      });
    });

    test('nodes are put and found, and replaced as a whole', async () => {
      const node: ClusterNode = {
        ...{ id: NODE, role: 'edge', site: 'b', version: '1', httpUrl: 'http://h', grpcAddress: 'h:1' },
        ...{ stores: ['fast', 'slow'], publicKey: 'PEM', seenAtMs: 5 },
      };
      const first: ClusterNode = { ...node, id: 'other' as NodeId, role: 'authority', site: 'a', stores: [] };
      await write({ kind: 'put-node', node }, { kind: 'put-node', node: first });
      expect(await catalog.read((reader) => reader.nodes())).toEqual([first, node]);
      const moved = { ...node, grpcAddress: 'h:2', seenAtMs: 6 };
      await write({ kind: 'put-node', node: moved });
      const found = await catalog.read((reader) => [reader.node(NODE), reader.node('none' as NodeId)]);
      expect(found).toEqual([moved, undefined]);
    });

    test('the work of a node is a set, listed in pages', async () => {
      const candidate: FoundLocation = {
        location: {
          ...{ id: 'l', nodeId: NODE, storeId: 's' as StoreId, key: 'k' as ObjectKey },
          ...{ metadata: new Map([['a', 'b']]), digest: 'unverified', created: false },
        },
        sizeBytes: 5,
        virtualSizeBytes: 7,
        expected: { checksum: null, osHashAlgo: 'sha512', osHashValue: 'ab' },
      };
      const works = [ID, OTHER].flatMap((imageId) =>
        (['hash', 'repair'] as const).map((kind) => ({
          nodeId: NODE,
          kind,
          imageId,
          candidate: kind === 'hash' ? candidate : null,
        })),
      );
      await write(...works.map((work) => ({ kind: 'put-work', work }) as const));
      const [first, second, third, last] = works.toSorted((a, b) => (a.kind < b.kind ? -1 : 1));
      await write({ kind: 'put-work', work: works[0] ?? expect.fail() });
      expect(await catalog.read((reader) => reader.work(NODE, undefined, 3))).toEqual([first, second, third]);
      expect(await catalog.read((reader) => reader.work(NODE, third, 3))).toEqual([last]);
      expect(await catalog.read((reader) => works.map((work) => reader.workOf(work)))).toEqual(works);
      expect(await catalog.read((reader) => reader.work('other' as NodeId, undefined, 3))).toEqual([]);
      await write(...works.slice(1).map((work) => ({ kind: 'remove-work', work }) as const));
      expect(await catalog.read((reader) => reader.work(NODE, undefined, 3))).toEqual([works[0]]);
    });

    test('images are walked through by id in any status', async () => {
      const [first, second] = [image(ID), image(OTHER, {}, ACTIVE)];
      await write({ kind: 'insert-image', image: first }, { kind: 'insert-image', image: second });
      await write({ kind: 'delete-image', before: first, deletedAtMs: 5, members: [] });
      const pages = await catalog.read((reader) => [
        reader.imagesAfter(undefined, 1).map(({ id, status }) => [id, status]),
        reader.imagesAfter(ID, 5),
        reader.imagesAfter(OTHER, 5),
      ]);
      expect(pages).toEqual([[[ID, 'deleted']], [second], []]);
    });

    test('a deletion that is delayed is told as one, once, and found when it is due', async () => {
      const before = image(ID, {}, ACTIVE);
      await write({ kind: 'insert-image', image: before });
      const pending: Image = { ...image(ID, { version: 2, updatedAtMs: 50 }), ...ACTIVE, status: 'pending_delete' };
      await write({ kind: 'update-image', before, after: pending, members: [Q] });
      const due = (beforeMs: number) => catalog.read((reader) => reader.pendingDeletes(beforeMs, 10));
      expect([await due(50), await due(51)]).toEqual([[], [ID]]);
      expect(await catalog.listImages(EVERYTHING)).toEqual([]);
      const active: Image = { ...image(ID, { version: 3 }), ...ACTIVE };
      await write({ kind: 'update-image', before: pending, after: active });
      const again: Image = { ...pending, version: 4, updatedAtMs: 60 };
      await write({ kind: 'update-image', before: active, after: again, members: [] });
      await write({ kind: 'delete-image', before: again, deletedAtMs: 70, members: [] });
      expect(await due(1000)).toEqual([]);
      const told = await catalog.read((reader) => reader.changes(0, 10).flatMap(({ events }) => events));
      expect(told.map(({ kind }) => kind)).toEqual([
        'image-created',
        'image-deleted',
        'image-created',
        'image-deleted',
      ]);
      expect(told[1]).toMatchObject({ imageId: ID, version: 2, members: [Q] });
    });

    test('uploads are leased and ended once; garbage is a set', async () => {
      const upload = {
        uploadId: 'u' as UploadId,
        imageId: ID,
        nodeId: 'n' as NodeId,
        storeId: 's' as StoreId,
        key: 'k' as ObjectKey,
        mapKey: 'm' as ObjectKey,
        startedAtMs: 3,
      };
      await write({ kind: 'insert-image', image: image(ID) }, { kind: 'insert-upload', upload });
      await expect(write({ kind: 'insert-upload', upload })).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
      expect(await catalog.read((reader) => reader.uploadsOfNode('n' as NodeId))).toEqual([upload]);
      expect(await catalog.read((reader) => reader.upload('u' as UploadId))).toEqual(upload);
      const garbage = { nodeId: NODE, storeId: 's' as StoreId, key: 'k' as ObjectKey };
      const place = { nodeId: NODE, unnamed: false, storeIds: ['s' as StoreId, 't' as StoreId] };
      await write({ kind: 'delete-upload', uploadId: upload.uploadId }, { kind: 'add-garbage', garbage });
      await expect(write({ kind: 'delete-upload', uploadId: upload.uploadId })).rejects.toMatchObject({
        reason: 'NOT_FOUND',
      });
      await write({ kind: 'add-garbage', garbage });
      expect(await catalog.read((reader) => reader.garbage(place, 10))).toEqual([garbage]);
      for (const elsewhere of [{ storeIds: ['t' as StoreId] }, { nodeId: 'other' as NodeId, unnamed: true }])
        expect(await catalog.read((reader) => reader.garbage({ ...place, ...elsewhere }, 10))).toEqual([]);
      await write({ kind: 'remove-garbage', garbage }, { kind: 'remove-garbage', garbage });
      expect(await catalog.read((reader) => reader.garbage(place, 10))).toEqual([]);
    });
  });

  describe('writes', () => {
    test('with an opId that was applied change nothing and say so', async () => {
      const effects: Effect[] = [{ kind: 'insert-image', image: image(ID) }];
      const first = await catalog.write(effects, { opId: 'once', subject: ID });
      const again = await catalog.write(effects, { opId: 'once', subject: ID });
      expect(first.replayed).toBe(false);
      expect(again).toEqual({ position: first.position, replayed: true });
      expect(await catalog.read((reader) => reader.operation('once'))).toEqual({ subject: ID });
      expect(await catalog.read((reader) => reader.operation('never'))).toBeUndefined();
    });

    test('are all or nothing, and one that fails in a group leaves the others', async () => {
      await write({ kind: 'insert-image', image: image(ID) });
      const id = (n: number): ImageId => `00000000-0000-4000-8000-1000000000${String(n).padStart(2, '0')}` as ImageId;
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, async (_, n) =>
          n % 5 === 0
            ? await write({ kind: 'insert-image', image: image(id(n)) }, { kind: 'insert-image', image: image(ID) })
            : await write({ kind: 'insert-image', image: image(id(n)) }),
        ),
      );
      expect(results.map((result) => result.status)).toEqual(
        Array.from({ length: 50 }, (_, n) => (n % 5 === 0 ? 'rejected' : 'fulfilled')),
      );
      expect((await list()).length).toBe(41);
      expect(await show(id(5))).toBeUndefined();
    });

    test('raise the position, and a position that was never reached is refused', async () => {
      const { position } = await catalog.write([{ kind: 'insert-image', image: image(ID) }], {
        opId: 'x',
        subject: '',
      });
      expect(await catalog.read((reader) => reader.imageVersion(ID), { atLeast: position })).toBe(1);
      expect(catalog.status()).toMatchObject({ ok: true, position: { frame: position.frame } });
      await expect(
        catalog.read(() => 1, { atLeast: { ...position, frame: position.frame + 1 } }),
      ).rejects.toMatchObject({
        reason: 'UNAVAILABLE',
      });
    });
  });

  describe('the feed', () => {
    test('holds what each write did, in their order, and who may know of it', async () => {
      const created = image(ID);
      const hidden = image(ID, { version: 2, visibility: 'private' }, ACTIVE);
      await write({ kind: 'insert-image', image: created }, { kind: 'insert-member', member: member(Q, 'pending') });
      await write({ kind: 'update-image', before: created, after: hidden });
      await write({ kind: 'add-garbage', garbage: { nodeId: NODE, storeId: 's' as StoreId, key: 'k' as ObjectKey } });
      await write({ kind: 'update-member', member: member(Q, 'accepted') });
      await write({ kind: 'delete-member', imageId: ID, memberId: Q });
      await write({ kind: 'delete-image', before: hidden, deletedAtMs: 1, members: [Q, P] });
      const changes = await catalog.read((reader) => reader.changes(0, 10));
      expect(changes.map(({ seq, events }) => [seq, ...events])).toEqual([
        [
          1,
          { kind: 'image-created', imageId: ID, version: 1, status: 'queued' },
          { kind: 'member-created', imageId: ID, memberId: Q, status: 'pending' },
        ],
        [
          2,
          {
            ...{ kind: 'image-updated', imageId: ID, version: 2, status: 'active' },
            before: { owner: P, visibility: 'shared' },
          },
        ],
        [3],
        [4, { kind: 'member-updated', imageId: ID, memberId: Q, status: 'accepted' }],
        [5, { kind: 'member-deleted', imageId: ID, memberId: Q }],
        [6, { kind: 'image-deleted', imageId: ID, version: 3, members: [Q, P] }],
      ]);
      expect(await catalog.read((reader) => reader.changes(4, 1))).toEqual(changes.slice(4, 5));
      const state = await catalog.read((reader) => reader.feedState());
      expect(state).toEqual({ epoch: catalog.status().position.epoch, firstSeq: 1, lastSeq: 6 });
      expect(await catalog.read((reader) => reader.feedEndOf(state.epoch))).toBeUndefined();
      expect(await catalog.read((reader) => reader.feedEndOf(state.epoch - 1))).toBe(0);
    });

    test('numbers what happens at once without a gap, each image in its own order', async () => {
      const ids = Array.from({ length: 8 }, (_, n) => `00000000-0000-4000-8000-20000000000${n}` as ImageId);
      const course = async (id: ImageId): Promise<void> => {
        await write({ kind: 'insert-image', image: image(id) });
        for (let version = 1; version < 6; version += 1)
          await write({
            kind: 'update-image',
            before: image(id, { version }),
            after: image(id, { version: version + 1 }),
          });
      };
      let told = 0;
      const stop = catalog.onAdvance(() => (told += 1));
      await Promise.all(ids.map(course));
      stop();
      expect(told).toBe(48);
      const changes = await catalog.read((reader) => reader.changes(0, 100));
      expect(changes.map(({ seq }) => seq)).toEqual(Array.from({ length: 48 }, (_, n) => n + 1));
      const events = changes.flatMap((change) => change.events);
      for (const id of ids)
        expect(events.flatMap((event) => (event.imageId === id && 'version' in event ? [event.version] : []))).toEqual([
          1, 2, 3, 4, 5, 6,
        ]);
    });
  });

  describe('lists', () => {
    test('refuse a marker that is not an image', async () => {
      await expect(list({ after: OTHER })).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
      await write({ kind: 'insert-image', image: image(ID) });
      await write({ kind: 'delete-image', before: image(ID), deletedAtMs: 1, members: [] });
      await expect(list({ after: ID })).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
    });

    test('are empty for a scope that holds nothing and a limit of 0', async () => {
      await write({ kind: 'insert-image', image: image(ID) });
      expect(await list({ limit: 0 })).toEqual([]);
      expect(await list({ scope: { anyOwner: [], own: null, member: null } })).toEqual([]);
      expect(await list({ sort: [{ field: 'id', ascending: true }] })).toEqual([ID]);
    });
  });
}
