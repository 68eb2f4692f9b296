/**
 * The image: what is true of it whatever the storage and the protocol.
 *
 * States, and what moves an image between them (Images API v2 §4.2; TRANSITIONS below is the same as data):
 *   queued    --BeginUpload-->  saving   --CommitUpload--> active
 *   saving    --AbortUpload-->  queued
 *   active   <--deactivate/reactivate--> deactivated
 *   any but deleted --DeleteImage--> deleted (the id stays reserved)
 *   active    --DeleteImage, when deletion is delayed--> pending_delete --after the time--> deleted
 *   pending_delete --RestoreImage--> active
 * uploading, importing and killed belong to imports and v1.
 */
import type { ImageId, ProjectId, UploadId } from '../base/brand.js';
import type { FileMapRef, Location } from './location.js';

export const IMAGE_STATUSES = [
  'queued',
  'saving',
  'uploading',
  'importing',
  'active',
  'deactivated',
  'killed',
  'pending_delete',
  'deleted',
] as const;
export type ImageStatus = (typeof IMAGE_STATUSES)[number];

export const VISIBILITIES = ['public', 'private', 'shared', 'community'] as const;
export type Visibility = (typeof VISIBILITIES)[number];

/** Which status may follow which (Images API v2 §4.2). */
export const TRANSITIONS: Record<ImageStatus, readonly ImageStatus[]> = {
  queued: ['saving', 'uploading', 'importing', 'active', 'deleted'],
  saving: ['queued', 'active', 'killed', 'deleted'],
  uploading: ['queued', 'importing', 'deleted'],
  importing: ['queued', 'active', 'deleted'],
  active: ['deactivated', 'pending_delete', 'deleted'],
  deactivated: ['active', 'deleted'],
  killed: ['deleted'],
  pending_delete: ['active', 'deleted'],
  deleted: [],
};

/** What every image has, in any status. */
export interface ImageCommon {
  readonly id: ImageId;
  /** Counts the changes, from 1. */
  readonly version: number;
  readonly name: string | null;
  readonly owner: ProjectId | null;
  readonly visibility: Visibility;
  readonly protected: boolean;
  readonly osHidden: boolean;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly minDiskGib: number;
  readonly minRamMib: number;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Milliseconds since 1970. */
  readonly updatedAtMs: number;
  /** Sorted, without duplicates. */
  readonly tags: readonly string[];
  readonly properties: ReadonlyMap<string, string>;
}

/** The stored data of an image. */
export interface ImageData {
  readonly sizeBytes: number;
  readonly virtualSizeBytes: number | null;
  /** MD5, lower-case hex. */
  readonly checksum: string | null;
  readonly osHashAlgo: string | null;
  /** Lower-case hex. */
  readonly osHashValue: string | null;
  readonly locations: readonly Location[];
  readonly fileMap: FileMapRef | null;
}

export type ImageState =
  | { readonly status: 'queued' | 'uploading' | 'importing' | 'killed' }
  | { readonly status: 'saving'; readonly uploadId: UploadId }
  | { readonly status: 'active' | 'deactivated' | 'pending_delete'; readonly data: ImageData }
  | { readonly status: 'deleted'; readonly deletedAtMs: number };

export type Image = ImageCommon & ImageState;

/** Returns the data of an image in a status that has some, else undefined. */
export function dataOf(image: Image): ImageData | undefined {
  return 'data' in image ? image.data : undefined;
}

/** Tells whether the table allows this transition. */
export function mayBecome(from: ImageStatus, to: ImageStatus): boolean {
  return TRANSITIONS[from].includes(to);
}

/** Returns what the image has in any status, to build its next state from. */
export function commonOf(image: Image): ImageCommon {
  const { id, version, name, owner, visibility, osHidden, diskFormat, containerFormat } = image;
  const { minDiskGib, minRamMib, createdAtMs, updatedAtMs, tags, properties } = image;
  return {
    ...{ id, version, name, owner, visibility, osHidden, diskFormat, containerFormat, protected: image.protected },
    ...{ minDiskGib, minRamMib, createdAtMs, updatedAtMs, tags, properties },
  };
}
