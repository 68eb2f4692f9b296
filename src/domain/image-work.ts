import type { ImageId, NodeId } from '../base/brand.js';
import type { FoundLocation } from './location-change.js';

/**
 * What a node may have to do to an image of its own accord. `hash`: read the data of a location that nobody has read to the end,
 * for its digests. `repair`: replace the data at damaged locations, or look whether they are damaged.
 */
export const WORK_KINDS = ['hash', 'repair'] as const;
export type WorkKind = (typeof WORK_KINDS)[number];

/** Which piece of work: an image has at most one of a kind at a node. */
export interface WorkName {
  readonly nodeId: NodeId;
  readonly kind: WorkKind;
  readonly imageId: ImageId;
}

export interface ImageWork extends WorkName {
  /** What an importing image gets when its data turns out as expected; null: the work is about what the image has. */
  readonly candidate: FoundLocation | null;
}
