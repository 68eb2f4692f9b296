import type { ImageId, ProjectId } from '../base/brand.js';
import type { Visibility } from './image.js';
import type { MemberStatus } from './member.js';

export const SORT_FIELDS = [
  'name',
  'status',
  'container_format',
  'disk_format',
  'size',
  'id',
  'created_at',
  'updated_at',
] as const;
export type SortField = (typeof SORT_FIELDS)[number];

export interface SortKey {
  readonly field: SortField;
  readonly ascending: boolean;
}

/** Compares a time of the image, cut to whole seconds, with `seconds` since 1970. */
export interface TimeMatch {
  readonly field: 'created_at' | 'updated_at';
  readonly operator: 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte';
  readonly seconds: number;
}

export interface IntegerRange {
  readonly field: 'size' | 'virtual_size' | 'min_ram' | 'min_disk';
  /** Included; null: no bound. */
  readonly min: number | null;
  /** Included; null: no bound. */
  readonly max: number | null;
}

/**
 * Which images a list may hold at all. An image is in scope when any of the branches holds (Images API v2 §6.2 "Who
 * sees what"); `domain/visibility.ts` makes it from the caller and the request.
 */
export interface ListScope {
  /** Images of any owner with one of these visibilities. */
  readonly anyOwner: readonly Visibility[];
  /** Images of this project with one of the visibilities. */
  readonly own: { readonly projectId: ProjectId; readonly visibilities: readonly Visibility[] } | null;
  /** Images with visibility `shared` of which this project is a member with one of the statuses. */
  readonly member: { readonly projectId: ProjectId; readonly statuses: readonly MemberStatus[] } | null;
}

/** A list of images. All filters must hold; an empty array of `names` and the like means: any. */
export interface ImageQuery {
  readonly scope: ListScope;
  readonly osHidden: boolean;
  readonly protected: boolean | null;
  readonly owner: ProjectId | null;
  readonly ids: readonly string[];
  readonly names: readonly string[];
  readonly statuses: readonly string[];
  readonly diskFormats: readonly string[];
  readonly containerFormats: readonly string[];
  readonly checksum: string | null;
  readonly osHashValue: string | null;
  /** All of them. */
  readonly tags: readonly string[];
  /** All of them. */
  readonly properties: readonly { readonly name: string; readonly value: string }[];
  readonly integers: readonly IntegerRange[];
  readonly times: readonly TimeMatch[];
  /** The order; the catalog appends created_at desc, id desc. Null values sort as '' or 0 (reference §6.2). */
  readonly sort: readonly SortKey[];
  /** The page starts after this image, which the caller may see; null: at the start. */
  readonly after: ImageId | null;
  /** 0 … 1000. */
  readonly limit: number;
}
