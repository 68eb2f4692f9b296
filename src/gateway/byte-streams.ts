/**
 * How the gateway moves the bytes of images, beside the generated interfaces: in process, or over HTTP to a node.
 * Both bindings check the caller, the policy and the status of the image before the first byte moves.
 */
import type { Metadata } from 'nice-grpc-common';
import type { Image } from '../gen/oriel/catalog/v1/image.js';

/** A range as HTTP states it; the size of the image decides what it comes to (RFC 9110, "Range"). */
export type RangeRequest =
  | { readonly kind: 'from'; readonly firstByte: number; readonly lastByte: number | null }
  | { readonly kind: 'suffix'; readonly lengthBytes: number };

/** Asks for the data of an image. */
export interface ReadRequest {
  readonly imageId: string;
  readonly range: RangeRequest | null;
  /** Stores to read from first, in this order. */
  readonly prefer?: readonly string[];
}

export interface OpenedRead {
  /** The image as the caller sees it. */
  readonly image: Image;
  /** The size of the whole image. */
  readonly sizeBytes: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** The bytes. A chunk's memory may be overwritten once the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface CallOptions {
  /** Credentials and request id; one object for all calls of one request. */
  readonly metadata: Metadata;
  readonly signal: AbortSignal;
  /** Told how new the catalog is that answers. */
  readonly onHeader?: (header: Metadata) => void;
}

/** Asks for a range of an object in a store of the node; for other nodes only. */
export interface ObjectRequest {
  readonly storeId: string;
  readonly key: string;
  /** The size that the object must have. */
  readonly sizeBytes: number;
  readonly range: RangeRequest;
}

/** A range of an object. A chunk's memory may be overwritten once the next one is asked for. */
export type OpenedObject = Omit<OpenedRead, 'image'>;

/** Objects of a node, for the other nodes of its cluster. FORBIDDEN: the caller is none. NOT_FOUND, RANGE_INVALID. */
export interface NodeObjects {
  openObject(request: ObjectRequest, options: CallOptions): Promise<OpenedObject>;
}

export interface ByteStreams {
  /**
   * Opens the data of an image; undefined when it has none (204). Reasons: NOT_FOUND, FORBIDDEN, RANGE_INVALID, UNAVAILABLE,
   * DATA_CORRUPT.
   */
  openRead(request: ReadRequest, options: CallOptions): Promise<OpenedRead | undefined>;
  /**
   * Stores the data of a queued image and makes it active. The source is not touched before everything that can be refused
   * without it was checked. Reasons: as `UploadImage` of the data service.
   */
  write(
    request: { readonly imageId: string; readonly sizeBytes: number | null; readonly storeId: string | null },
    source: AsyncIterable<Uint8Array>,
    options: CallOptions,
  ): Promise<Image>;
}
