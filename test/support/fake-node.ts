/** A node in memory over real gRPC, for tests of clients: it keeps what it was sent, and fails when told to. */
import { createHash, randomUUID } from 'node:crypto';
import { type CallContext, createServer, type Server } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { ServiceError } from '../../src/base/service-error.js';
import {
  type CatalogServiceImplementation,
  CatalogServiceDefinition,
  type ListImagesRequest,
  type UpdateImageRequest,
} from '../../src/gen/oriel/catalog/v1/catalog_service.js';
import { Image, ImageStatus, ImageVisibility } from '../../src/gen/oriel/catalog/v1/image.js';
import {
  DataServiceDefinition,
  type DataServiceImplementation,
  MaterializeWay,
  type UploadImageRequest,
} from '../../src/gen/oriel/data/v1/data_service.js';
import {
  CallerKind,
  EventKind,
  NodeServiceDefinition,
  type NodeServiceImplementation,
  WatchEventsResponse,
} from '../../src/gen/oriel/node/v1/node_service.js';
import { toServerError } from '../../src/services/grpc-errors.js';

interface UploadSeen {
  readonly size: bigint | undefined;
  readonly chunks: number[];
}

export interface FakeNode {
  /** HOST:PORT. */
  readonly tcp: string;
  readonly images: ReadonlyMap<string, Image>;
  readonly uploads: readonly UploadSeen[];
  lastList: ListImagesRequest | undefined;
  lastUpdate: UpdateImageRequest | undefined;
  failUploads: boolean;
  downloadFault: 'corrupt' | 'short' | undefined;
  /** Images on a page at most. */
  pageMax: number;
  dataOf(id: string): Buffer | undefined;
  /** Resolves when the next upload has begun. */
  uploadStarted(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a node on a unix socket and on a free TCP port. */
export async function startFakeNode(socket: string): Promise<FakeNode> {
  const state = new FakeState();
  const local = serverOf(state);
  const remote = serverOf(state);
  await local.listen(`unix://${socket}`);
  state.tcp = `127.0.0.1:${await remote.listen('127.0.0.1:0')}`;
  const stop = async (): Promise<void> => {
    local.forceShutdown();
    remote.forceShutdown();
    return Promise.resolve();
  };
  return Object.assign(state, { stop });
}

function serverOf(state: FakeState): Server {
  const options = { 'grpc.max_receive_message_length': 8 * 1024 * 1024 };
  const server = createServer(options)
    .use(errorDetailsServerMiddleware)
    .use(async function* (call, context) {
      try {
        return yield* call.next(call.request, context);
      } catch (error) {
        throw toServerError(error, () => undefined);
      }
    });
  server.add(CatalogServiceDefinition, catalogOf(state));
  server.add(DataServiceDefinition, dataOf(state));
  server.add(NodeServiceDefinition, nodeService);
  return server;
}

class FakeState {
  tcp = '';
  readonly images = new Map<string, Image>();
  readonly data = new Map<string, Buffer>();
  readonly uploads: UploadSeen[] = [];
  readonly waiting: (() => void)[] = [];
  lastList: ListImagesRequest | undefined = undefined;
  lastUpdate: UpdateImageRequest | undefined = undefined;
  failUploads = false;
  downloadFault: 'corrupt' | 'short' | undefined = undefined;
  pageMax = 1000;

  dataOf(id: string): Buffer | undefined {
    return this.data.get(id);
  }

  async uploadStarted(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  find(id: string): Image {
    const image = this.images.get(id);
    if (image === undefined) throw new ServiceError('NOT_FOUND', `no image ${id}`);
    return image;
  }
}

function notHere(): never {
  throw new ServiceError('NOT_IMPLEMENTED', 'not in the fake');
}

function catalogOf(state: FakeState): CatalogServiceImplementation {
  return {
    createImage: async (request) => {
      const image = Image.fromPartial({
        ...request,
        id: request.id ?? randomUUID(),
        version: 1n,
        status: ImageStatus.QUEUED,
        visibility: request.visibility === ImageVisibility.UNSPECIFIED ? ImageVisibility.SHARED : request.visibility,
        owner: request.owner?.projectId ?? 'demo',
      });
      state.images.set(image.id, image);
      return Promise.resolve({ image });
    },
    getImage: async ({ id }) => Promise.resolve({ image: state.find(id) }),
    listImages: async (request) => {
      state.lastList = request;
      const { names = [], tags = [] } = request.filter ?? {};
      const found = [...state.images.values()].filter(
        (image) =>
          image.osHidden === (request.filter?.osHidden ?? false) &&
          (names.length === 0 || names.includes(image.name ?? '')) &&
          tags.every((tag) => image.tags.includes(tag)),
      );
      const start = request.pageToken === '' ? 0 : Number(request.pageToken);
      const end = start + Math.min(state.pageMax, request.pageSize ?? 25);
      const nextPageToken = end <= found.length ? String(end) : '';
      return Promise.resolve({ images: found.slice(start, end), nextPageToken });
    },
    updateImage: async (request) => {
      state.lastUpdate = request;
      const image = state.find(request.id);
      for (const { change } of request.changes) if (change?.$case === 'protected') image.protected = change.value;
      return Promise.resolve({ image });
    },
    deleteImage: async ({ id }) => {
      if (state.find(id).protected) throw new ServiceError('FORBIDDEN', `${id} is protected`);
      state.images.delete(id);
      return Promise.resolve({});
    },
    deactivateImage: notHere,
    reactivateImage: notHere,
    addImageTag: notHere,
    removeImageTag: notHere,
    createMember: notHere,
    getMember: notHere,
    listMembers: notHere,
    updateMember: notHere,
    deleteMember: notHere,
    beginUpload: notHere,
    commitUpload: notHere,
    forgetGarbage: notHere,
    repairImage: notHere,
    restoreImage: notHere,
    reportLocation: notHere,
    endImageRepair: notHere,
    listImageLocations: notHere,
    addImageLocation: notHere,
    removeImageFromStore: notHere,
    abortUpload: notHere,
  };
}

function dataOf(state: FakeState): DataServiceImplementation {
  return {
    uploadImage: async (requests: AsyncIterable<UploadImageRequest>) => {
      if (state.failUploads) throw new ServiceError('LIMIT_EXCEEDED', 'no room');
      let image: Image | undefined;
      const chunks: Buffer[] = [];
      for await (const { part } of requests) {
        if (part?.$case === 'header') {
          image = state.find(part.value.imageId);
          state.uploads.push({ size: part.value.size, chunks: [] });
          for (const resolve of state.waiting.splice(0)) resolve();
        } else if (part?.$case === 'chunk') {
          chunks.push(part.value);
          state.uploads.at(-1)?.chunks.push(part.value.length);
        }
      }
      if (image === undefined) throw new ServiceError('INVALID_ARGUMENT', 'no header');
      const bytes = Buffer.concat(chunks);
      state.data.set(image.id, bytes);
      Object.assign(image, { status: ImageStatus.ACTIVE, size: BigInt(bytes.length) });
      return { image };
    },
    copyImage: async ({ imageId, store }) => {
      const image = state.find(imageId);
      image.stores = [...image.stores, store];
      return Promise.resolve({ image });
    },
    async *materializeImage({ imageId, target }) {
      const data = state.data.get(state.find(imageId).id);
      if (data === undefined) throw new ServiceError('STATE_CONFLICT', 'no data');
      const size = BigInt(data.length);
      yield await Promise.resolve({ part: { $case: 'progress', value: { done: size, total: size } } });
      const facts = { imageId, size, way: MaterializeWay.COPY, resumed: 0n };
      yield { part: { $case: 'file', value: { ...facts, path: target?.value ?? '' } } };
    },
    async *downloadImage({ imageId }) {
      const data = state.data.get(state.find(imageId).id);
      if (data === undefined) throw new ServiceError('STATE_CONFLICT', 'no data');
      const size = BigInt(data.length);
      const osHashValue = createHash('sha512').update(data).digest('hex');
      const header = { size, offset: 0n, length: size, checksum: '', osHashAlgo: 'sha512', osHashValue };
      yield { part: { $case: 'header', value: header } };
      const sent = Buffer.from(state.downloadFault === 'short' ? data.subarray(1) : data);
      if (state.downloadFault === 'corrupt') sent[0] = (sent[0] ?? 0) ^ 1;
      for (let start = 0; start < sent.length; start += 1_048_576) {
        yield { part: { $case: 'chunk', value: sent.subarray(start, start + 1_048_576) } };
        // Bytes arrive in several turns of the event loop, as from a disk.
        await Promise.resolve();
      }
    },
  };
}

const FEED_IMAGE = '6c1f4f6e-3d5f-4f0e-9d0c-0a6f5f1d2b11';

const nodeService: NodeServiceImplementation = {
  getNodeStatus: async () =>
    Promise.resolve({
      nodeId: 'n1',
      site: 'here',
      version: '1',
      startedAt: new Date(0),
      ready: false,
      parts: [{ name: 'store file', ok: false, message: 'disk gone' }],
    }),
  getServiceInfo: notHere,
  listStores: notHere,
  listNodes: notHere,
  join: notHere,
  announceNode: notHere,
  holdPosition: notHere,
  fenceAuthority: notHere,
  listCachedImages: notHere,
  cacheImage: notHere,
  removeCachedImage: notHere,
  clearCache: notHere,
  cleanCache: notHere,
  pruneCache: notHere,
  pinCachedImage: notHere,
  // A stream that ends, one that breaks, and then nothing is known any more.
  async *watchEvents({ after }) {
    await Promise.resolve();
    const image = { imageId: FEED_IMAGE, occurredAt: new Date(0) };
    if (after === '') {
      yield WatchEventsResponse.fromPartial({ kind: EventKind.HEARTBEAT, token: '1-1' });
      const facts = { kind: EventKind.IMAGE_UPDATED, imageVersion: 4n, imageStatus: ImageStatus.ACTIVE };
      yield WatchEventsResponse.fromPartial({ ...image, ...facts, token: '1-2' });
    } else if (after === '1-2') {
      const facts = { kind: EventKind.MEMBER_DELETED, memberId: 'p2' };
      yield WatchEventsResponse.fromPartial({ ...image, ...facts, token: '1-3' });
      throw new ServiceError('UNAVAILABLE', 'the node is stopping.');
    } else throw new ServiceError('EVENTS_GONE', `nothing is known after ${after}`);
  },
  getCaller: async (_request, context: CallContext) =>
    Promise.resolve({
      kind: CallerKind.USER,
      userId: context.metadata.get('x-auth-token') ?? '',
      projectId: 'demo',
      roles: ['member'],
    }),
};
