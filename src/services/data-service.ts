import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import type {
  CopyImageRequest,
  CopyImageResponse,
  DownloadImageRequest,
  DownloadImageResponse,
  MaterializeImageRequest,
  MaterializeImageResponse,
  UploadHeader,
  UploadImageRequest,
  UploadImageResponse,
} from '../gen/oriel/data/v1/data_service.js';
import type { ByteStreamService } from './byte-stream-service.js';
import type { ImageFileService } from './image-file-service.js';
import { numberOf } from './image-request.js';
import type { ServiceContext } from './service-context.js';

const IDLE_MS = 120_000;

/** The data service: chunks over gRPC from and to the byte streams. */
export class DataService {
  readonly #bytes: ByteStreamService;
  readonly #files: ImageFileService;
  readonly #idleMs: number;

  /** A client of an upload may send nothing for `idleMs` at most. */
  constructor(bytes: ByteStreamService, files: ImageFileService, idleMs = IDLE_MS) {
    this.#bytes = bytes;
    this.#files = files;
    this.#idleMs = idleMs;
  }

  async uploadImage(
    requests: AsyncIterable<UploadImageRequest>,
    context: ServiceContext,
  ): Promise<UploadImageResponse> {
    await context.caller();
    const parts = withIdleLimit(requests[Symbol.asyncIterator](), this.#idleMs);
    const header = await firstHeader(parts);
    const image = await this.#bytes.write(
      { imageId: header.imageId, sizeBytes: numberOf(header.size, 'size'), storeId: header.store },
      chunksOf(parts),
      context,
    );
    return { image };
  }

  async copyImage(request: CopyImageRequest, context: ServiceContext): Promise<CopyImageResponse> {
    return { image: await this.#bytes.copy({ imageId: request.imageId, storeId: request.store }, context) };
  }

  materializeImage(
    request: MaterializeImageRequest,
    context: ServiceContext,
  ): AsyncGenerator<MaterializeImageResponse, void, undefined> {
    return this.#files.materialize(request, context);
  }

  async *downloadImage(request: DownloadImageRequest, context: ServiceContext): AsyncGenerator<DownloadImageResponse> {
    const firstByte = numberOf(request.offset, 'offset') ?? 0;
    const length = numberOf(request.length, 'length');
    if (length === 0) throw new ServiceError('INVALID_ARGUMENT', 'length must be at least 1 or unset, got 0');
    const whole = firstByte === 0 && length === null;
    const opened = await this.#bytes.openRead(
      {
        imageId: request.imageId,
        prefer: request.prefer,
        range: whole ? null : { kind: 'from', firstByte, lastByte: length === null ? null : firstByte + length - 1 },
      },
      context,
    );
    if (opened === undefined) throw new ServiceError('STATE_CONFLICT', `Image ${request.imageId} has no data yet.`);
    const { image } = opened;
    yield {
      part: {
        $case: 'header',
        value: {
          size: BigInt(opened.sizeBytes),
          offset: BigInt(opened.offsetBytes),
          length: BigInt(opened.lengthBytes),
          checksum: image.checksum ?? '',
          osHashAlgo: image.osHashAlgo ?? '',
          osHashValue: image.osHashValue ?? '',
        },
      },
    };
    // gRPC encodes a message at some later time, and the chunk's memory may be reused by then: each message owns its bytes.
    for await (const chunk of opened.chunks)
      for (let start = 0; start < chunk.length; start += UNIT_BYTES)
        yield { part: { $case: 'chunk', value: Buffer.from(chunk.subarray(start, start + UNIT_BYTES)) } };
  }
}

// Keepalive tells of a living connection, not of a client that means to go on.
function withIdleLimit<T>(parts: AsyncIterator<T>, idleMs: number): AsyncIterator<T> {
  return {
    next: () =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new ServiceError('DEADLINE_EXCEEDED', `the client sent nothing for ${idleMs} ms`));
        }, idleMs);
        parts
          .next()
          .then(resolve, reject)
          .finally(() => clearTimeout(timer));
      }),
  };
}

async function firstHeader(parts: AsyncIterator<UploadImageRequest>): Promise<UploadHeader> {
  const first = await parts.next();
  const part = first.done === true ? undefined : first.value.part;
  if (part?.$case !== 'header')
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `the first message of an upload must be its header, got ${part?.$case ?? 'none'}`,
    );
  return part.value;
}

async function* chunksOf(parts: AsyncIterator<UploadImageRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await parts.next();
    if (next.done === true) return;
    const { part } = next.value;
    if (part?.$case !== 'chunk')
      throw new ServiceError(
        'INVALID_ARGUMENT',
        `after the header of an upload come chunks, got ${part?.$case ?? 'an empty message'}`,
      );
    yield part.value;
  }
}
