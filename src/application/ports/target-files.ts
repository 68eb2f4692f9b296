/** The port to files of the host that images are put into. */
import type { ByteRange } from './image-store.js';
import type { CopiedUnit } from './unit-copier.js';

/** Where a file goes: its path, or the base file of an image in the cache of Nova's instances there. */
export type TargetPlace =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'nova'; readonly instances: string; readonly imageId: string };

export interface PublishOptions {
  /** Replace a file that is there. */
  readonly overwrite: boolean;
  /** Return once the file is on disk. */
  readonly flush: boolean;
}

export interface TargetFiles {
  /**
   * Holds the folder of the place. FORBIDDEN: no place where images may go, or a symbolic link is on the way. INVALID_ARGUMENT: no
   * path of a file. STATE_CONFLICT: there is no such folder. UNAVAILABLE: the host refuses.
   */
  open(place: TargetPlace): Promise<TargetFile>;
}

/**
 * A file to be, and the partial file beside it, which survives the process. LIMIT_EXCEEDED: no room left. UNAVAILABLE: the host
 * refuses.
 */
export interface TargetFile {
  /** The same for the same file, whatever path led to it. */
  readonly id: string;
  readonly path: string;
  /** ALREADY_EXISTS: it is there, and must not be replaced. FORBIDDEN: something is there that never is. */
  checkFree(options: Pick<PublishOptions, 'overwrite'>): Promise<void>;
  /** Makes the partial file share the blocks of the file at the URL; false: they cannot. */
  reflink(fileUrl: string): Promise<boolean>;
  /** Makes the partial file the one at the URL, under a second name; false: it cannot be. */
  hardLink(fileUrl: string): Promise<boolean>;
  /** Opens the partial file; an empty one when there is none that can be trusted to be ours. */
  openPart(): Promise<PartialFile>;
  removePart(): Promise<void>;
  /** Gives the partial file its name. As checkFree; STATE_CONFLICT: the folder or the partial file was replaced meanwhile. */
  publish(options: PublishOptions): Promise<void>;
  close(): Promise<void>;
}

export interface CopyOptions {
  /** Told of those that were taken over, a few at a time. */
  readonly copied: (units: readonly CopiedUnit[]) => void;
  readonly signal: AbortSignal;
}

export interface PartialFile {
  /** As it was found. */
  readonly sizeBytes: number;
  /** Where appending goes on. */
  readonly endBytes: number;
  /** As ImageStore.read. */
  read(range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Drops what comes after the offset; before anything is written. */
  startAt(offsetBytes: number, options: Pick<PublishOptions, 'flush'>): Promise<void>;
  /** Appends; the chunk's memory is free again when the promise resolves. Zeros become holes. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Takes over these units of the file at the URL, in order or nearly; false: there is no such file, or one of them is not what it
   * should be. Appending goes on behind the last one.
   */
  copyFrom(fileUrl: string, units: Iterable<CopiedUnit>, options: CopyOptions): Promise<boolean>;
  /** Appends zeros. */
  skip(lengthBytes: number): void;
  /** Sets the size to what was appended. */
  end(): Promise<void>;
  close(): Promise<void>;
}
