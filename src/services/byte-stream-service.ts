import type { DataContext } from '../application/data-context.js';
import { copyImage, openForCopy } from '../application/copy-image.js';
import { type Download, type DownloadRequest, openDownload } from '../application/open-download.js';
import { openObject, type OpenedObject } from '../application/open-object.js';
import { uploadImage } from '../application/upload-image.js';
import type { RangeRequest } from '../domain/byte-range.js';
import type { Image as ImageMessage } from '../gen/oriel/catalog/v1/image.js';
import { ServiceError } from '../base/service-error.js';
import type { CatalogFreshness } from './catalog-freshness.js';
import type { CopyAge } from './copy-age.js';
import type { EdgeCatalogService } from './edge-catalog-service.js';
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

/** How a read of an image's data comes about: what is waited for before it, and what is tried when there is no such image. */
export type Reading = <Found extends Pick<Download, 'image'>>(
  imageId: string,
  context: ServiceContext,
  read: () => Promise<Found | undefined>,
) => Promise<Found | undefined>;

/** Waits until the catalog is as new as was asked for, and says how new it is. */
export function freshReading(freshness: CatalogFreshness): Reading {
  return async (_imageId, context, read) => {
    await freshness.reach(await context.caller(), context);
    const response = await read();
    freshness.tell(context);
    return response;
  };
}

/** The same over a copy, which asks the authority for images that it does not know, and serves what its age allows. */
export function edgeReading(
  freshness: CatalogFreshness,
  edge: Pick<EdgeCatalogService, 'onceKnown'>,
  age: CopyAge,
): Reading {
  const fresh = freshReading(freshness);
  return async (imageId, context, read) => {
    const found = await edge.onceKnown(imageId, context, () => fresh(imageId, context, read), isThere);
    age.allow(found === undefined || found.image.visibility === 'public');
    return found;
  };
}

/** An image without data may have got it a moment ago, at another node. */
function isThere(found: object | undefined): boolean {
  return found !== undefined;
}

/** Asks for a range of an object in a store of this node. */
export interface ObjectRequest {
  readonly storeId: string;
  readonly key: string;
  /** The size that the object must have. */
  readonly sizeBytes: number;
  readonly range: RangeRequest;
}

/** Moves bytes for the data service and, in process, for the gateway: both translate the same two calls. */
export class ByteStreamService {
  readonly #context: DataContext;
  readonly #view: ImageView;
  readonly #catalog: UploadMethods;
  readonly #reading: Reading;

  constructor(context: DataContext, view: ImageView, catalog: UploadMethods, reading: Reading) {
    this.#context = context;
    this.#view = view;
    this.#catalog = catalog;
    this.#reading = reading;
  }

  /** Opens the data of an image; undefined when it has none. Reasons: see openDownload. */
  async openRead(
    request: Omit<DownloadRequest, 'prefer'> & { readonly prefer?: readonly string[] },
    context: ServiceContext,
  ): Promise<OpenedRead | undefined> {
    const caller = await context.caller();
    const download = await this.#reading(request.imageId, context, () =>
      openDownload(this.#context, caller, { ...request, prefer: request.prefer ?? [] }, context.signal),
    );
    if (download === undefined) return undefined;
    const { image, data, offsetBytes, lengthBytes, chunks } = download;
    return { image: this.#view.message(caller, image), sizeBytes: data.sizeBytes, offsetBytes, lengthBytes, chunks };
  }

  /** Opens an object of this node's stores for another node, which has checked who reads it. FORBIDDEN: not a node. */
  async openObject(request: ObjectRequest, context: ServiceContext): Promise<OpenedObject> {
    const { vouchedBy } = await context.caller();
    if (vouchedBy === undefined) throw new ServiceError('FORBIDDEN', 'Only nodes of this service read objects.');
    return openObject(this.#context, request, context.signal);
  }

  /** Copies the data of an image into a store of this node; '': the default one. Reasons: see copyImage. */
  async copy(
    request: { readonly imageId: string; readonly storeId: string },
    context: ServiceContext,
  ): Promise<ImageMessage> {
    const { imageId } = request;
    const caller = await context.caller();
    const stop = new AbortController();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    try {
      const source = await this.#reading(imageId, context, () => openForCopy(this.#context, caller, imageId, signal));
      const commands = uploadCommands(this.#catalog, this.#context.nodeId, context);
      return await copyImage(this.#context, { imageId, source, storeName: request.storeId }, commands, context.signal);
    } finally {
      // A source that was opened and never pulled.
      stop.abort();
    }
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
