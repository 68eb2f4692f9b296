import type { DataContext } from '../application/data-context.js';
import { openDownload } from '../application/open-download.js';
import { uploadImage } from '../application/upload-image.js';
import type { RangeRequest } from '../domain/byte-range.js';
import type { Image as ImageMessage } from '../gen/oriel/catalog/v1/image.js';
import type { ImageView } from './image-view.js';
import type { ServiceContext } from './service-context.js';
import { type UploadMethods, uploadCommands } from './upload-commands.js';

/** What is read, with the bytes. A chunk's memory may be overwritten once the next one is asked for. */
export interface OpenedRead {
  readonly image: ImageMessage;
  readonly sizeBytes: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface WriteRequest {
  readonly imageId: string;
  readonly sizeBytes: number | null;
  readonly storeId: string | null;
}

/** Moves bytes for the data service and, in process, for the gateway: both translate the same two calls. */
export class ByteStreamService {
  readonly #context: DataContext;
  readonly #view: ImageView;
  readonly #catalog: UploadMethods;

  constructor(context: DataContext, view: ImageView, catalog: UploadMethods) {
    this.#context = context;
    this.#view = view;
    this.#catalog = catalog;
  }

  /** Opens the data of an image; undefined when it has none. Reasons: see openDownload. */
  async openRead(
    request: { readonly imageId: string; readonly range: RangeRequest | null },
    context: ServiceContext,
  ): Promise<OpenedRead | undefined> {
    const caller = await context.caller();
    const download = await openDownload(this.#context, caller, request, context.signal);
    if (download === undefined) return undefined;
    const { image, data, offsetBytes, lengthBytes, chunks } = download;
    return { image: this.#view.message(caller, image), sizeBytes: data.sizeBytes, offsetBytes, lengthBytes, chunks };
  }

  /** Stores the data of a queued image and makes it active. Reasons: see uploadImage. */
  async write(
    request: WriteRequest,
    source: AsyncIterable<Uint8Array>,
    context: ServiceContext,
  ): Promise<ImageMessage> {
    await context.caller();
    return uploadImage(
      this.#context,
      {
        imageId: request.imageId,
        declaredSizeBytes: request.sizeBytes ?? undefined,
        storeName: request.storeId ?? '',
      },
      uploadCommands(this.#catalog, this.#context.nodeId, context),
      source,
      context.signal,
    );
  }
}
