/**
 * Services that record what the gateway asks and answer what a test prescribes: for tests of the translation alone. Whoever
 * does not prescribe an answer gets one fixed image, or an empty list.
 */
import {
  Image,
  ImageMember,
  ImageStatus,
  ImageVisibility,
  MemberStatus,
} from '../../src/gen/oriel/catalog/v1/image.js';
import {
  type CatalogServiceClient,
  ListImagesResponse,
  ListMembersResponse,
} from '../../src/gen/oriel/catalog/v1/catalog_service.js';
import {
  CallerKind,
  GetCallerResponse,
  GetNodeStatusResponse,
  JoinResponse,
  GetServiceInfoResponse,
  type NodeServiceClient,
  type WatchEventsResponse,
} from '../../src/gen/oriel/node/v1/node_service.js';
import { ListCachedImagesResponse } from '../../src/gen/oriel/node/v1/node_cache.js';
import type { ByteStreams, OpenedRead } from '../../src/gateway/byte-streams.js';
import type { GatewayBackend } from '../../src/gateway/index.js';

export interface RecordedCall {
  readonly method: string;
  readonly request: unknown;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface FakeBackend extends GatewayBackend {
  readonly calls: RecordedCall[];
  /** Prescribes what a method does with its request; returning undefined falls back to the fixed answer. */
  on(method: string, answer: (request: never) => unknown): void;
  /** The request of the last call of a method. */
  lastRequest(method: string): unknown;
}

export const IMAGE_ID = '6c1f4f6e-3d5f-4f0e-9d0c-0a6f5f1d2b11';

/** A full image; the fields given replace its own. */
export function fakeImage(fields: Partial<Image> = {}): Image {
  return {
    ...Image.create({
      id: IMAGE_ID,
      version: 7n,
      name: 'cirros',
      status: ImageStatus.ACTIVE,
      visibility: ImageVisibility.SHARED,
      owner: 'p1',
      diskFormat: 'raw',
      containerFormat: 'bare',
      size: 11n,
      virtualSize: 11n,
      checksum: '5eb63bbbe01eeed093cb22bb8f5acdc3',
      osHashAlgo: 'sha512',
      osHashValue: 'ab'.repeat(64),
      createdAt: new Date('2026-01-02T03:04:05.678Z'),
      updatedAt: new Date('2026-01-02T03:04:06.789Z'),
      tags: ['a', 'b'],
      properties: new Map([['os_distro', 'cirros']]),
    }),
    ...fields,
  };
}

const IMAGE = fakeImage();
const MEMBER = ImageMember.create({
  imageId: IMAGE_ID,
  memberId: 'p2',
  status: MemberStatus.PENDING,
  createdAt: new Date('2026-01-02T03:04:05Z'),
  updatedAt: new Date('2026-01-02T03:04:05Z'),
});

/** Makes a backend. */
export function fakeBackend(): FakeBackend {
  const calls: RecordedCall[] = [];
  const answers = new Map<string, (request: never) => unknown>();
  const method =
    <T>(name: string, fallback: T) =>
    async (request: unknown, options?: { metadata?: Iterable<[string, (string | Uint8Array)[]]> }): Promise<T> => {
      const metadata = new Map([...(options?.metadata ?? [])].map(([key, values]) => [key, values.join()]));
      calls.push({ method: name, request, metadata });
      return ((await answers.get(name)?.(request as never)) as T | undefined) ?? fallback;
    };
  return {
    calls,
    on: (name, answer) => void answers.set(name, answer),
    lastRequest: (name) => calls.filter((call) => call.method === name).at(-1)?.request,
    catalog: fakeCatalog(method),
    node: fakeNode(method),
    bytes: fakeBytes(method),
  };
}

type MethodFactory = <T>(
  name: string,
  fallback: T,
) => (request: unknown, options?: { metadata?: Iterable<[string, (string | Uint8Array)[]]> }) => Promise<T>;

function fakeCatalog(method: MethodFactory): CatalogServiceClient {
  const image = { image: IMAGE };
  const member = { member: MEMBER };
  return {
    createImage: method('createImage', image),
    getImage: method('getImage', image),
    listImages: method('listImages', ListImagesResponse.create()),
    updateImage: method('updateImage', image),
    deleteImage: method('deleteImage', {}),
    deactivateImage: method('deactivateImage', image),
    reactivateImage: method('reactivateImage', image),
    addImageTag: method('addImageTag', {}),
    removeImageTag: method('removeImageTag', {}),
    createMember: method('createMember', member),
    getMember: method('getMember', member),
    listMembers: method('listMembers', ListMembersResponse.create({ members: [MEMBER] })),
    updateMember: method('updateMember', member),
    deleteMember: method('deleteMember', {}),
    beginUpload: method('beginUpload', { uploadId: 'u', image: IMAGE, maxSize: 1n }),
    commitUpload: method('commitUpload', image),
    abortUpload: method('abortUpload', {}),
    forgetGarbage: method('forgetGarbage', {}),
    repairImage: method('repairImage', { locations: [] }),
    restoreImage: method('restoreImage', image),
    reportLocation: method('reportLocation', { marked: false }),
    endImageRepair: method('endImageRepair', {}),
    listImageLocations: method('listImageLocations', { locations: [] }),
    addImageLocation: method('addImageLocation', image),
    removeImageFromStore: method('removeImageFromStore', image),
  };
}

function fakeNode(method: MethodFactory): NodeServiceClient {
  return {
    getNodeStatus: method('getNodeStatus', GetNodeStatusResponse.create()),
    listNodes: method('listNodes', { nodes: [] }),
    listStores: method('listStores', { stores: [] }),
    join: method('join', JoinResponse.create()),
    announceNode: method('announceNode', {}),
    holdPosition: method('holdPosition', { position: '' }),
    fenceAuthority: method('fenceAuthority', { epoch: 0n, proof: Buffer.alloc(0) }),
    listCachedImages: method('listCachedImages', ListCachedImagesResponse.create()),
    cacheImage: method('cacheImage', {}),
    removeCachedImage: method('removeCachedImage', {}),
    clearCache: method('clearCache', {}),
    cleanCache: method('cleanCache', { removedImages: 0 }),
    pruneCache: method('pruneCache', { prunedImages: 0, prunedBytes: 0n }),
    pinCachedImage: method('pinCachedImage', { cachedImage: undefined }),
    async *watchEvents(request, options) {
      yield* await method<WatchEventsResponse[]>('watchEvents', [])(request, options);
    },
    getCaller: method('getCaller', GetCallerResponse.create({ kind: CallerKind.USER, projectId: 'p1' })),
    getServiceInfo: method(
      'getServiceInfo',
      GetServiceInfoResponse.create({
        diskFormats: ['raw', 'qcow2'],
        containerFormats: ['bare'],
        stores: [{ id: 'file', description: '', default: true, readOnly: false, type: 'file' }],
        hashingAlgorithm: 'sha512',
      }),
    ),
  };
}

function fakeBytes(method: MethodFactory): ByteStreams {
  const openRead = method<OpenedRead | undefined>('openRead', undefined);
  const write = method('write', IMAGE);
  return {
    openRead: (request, options) => openRead(request, { metadata: options.metadata }),
    write: (request, source, options) =>
      write({ ...request, source, signal: options.signal }, { metadata: options.metadata }),
  };
}
