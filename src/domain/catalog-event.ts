import type { ImageId, ProjectId } from '../base/brand.js';
import type { Caller } from './caller.js';
import type { ImageStatus } from './image.js';
import type { MemberStatus } from './member.js';
import { isInSight, managesMembers, type Sight } from './visibility.js';

/**
 * A change of the catalog that callers are told of: which image, and what is needed to tell who may know.
 * - `image-updated`: `before` is set when the change may have taken the image from somebody's sight.
 * - `image-deleted`: `members` could see it, and are gone with it.
 */
export type CatalogEvent =
  | {
      readonly kind: 'image-created';
      readonly imageId: ImageId;
      readonly version: number;
      readonly status: ImageStatus;
    }
  | {
      readonly kind: 'image-updated';
      readonly imageId: ImageId;
      readonly version: number;
      readonly status: ImageStatus;
      readonly before: Sight | null;
    }
  | {
      readonly kind: 'image-deleted';
      readonly imageId: ImageId;
      readonly version: number;
      readonly members: readonly ProjectId[];
    }
  | {
      readonly kind: 'member-created' | 'member-updated';
      readonly imageId: ImageId;
      readonly memberId: ProjectId;
      readonly status: MemberStatus;
    }
  | { readonly kind: 'member-deleted'; readonly imageId: ImageId; readonly memberId: ProjectId };

/** An event as one caller is told of it. `image-withdrawn`: the image is there, but no longer for this caller to see. */
export type SeenEvent =
  | CatalogEvent
  | { readonly kind: 'image-withdrawn'; readonly imageId: ImageId; readonly version: number };

/** The image of an event when the event is delivered. */
export interface SeenImage extends Sight {
  /** Whether the caller's project is a member of it, in any status; asked only when that decides. */
  isMember(): boolean;
}

/**
 * Returns what the caller is told of the event; undefined: nothing. `image` is as it is now, not as it was: who lost the
 * right to see it is told of no change but the one that took it away. A deleted image keeps its owner and visibility.
 */
export function asSeenBy(caller: Caller, event: CatalogEvent, image: SeenImage): SeenEvent | undefined {
  switch (event.kind) {
    case 'image-created':
    case 'image-updated': {
      const isMember = (): boolean => image.isMember();
      if (isInSight(caller, image, isMember)) return event;
      if (event.kind === 'image-created' || event.before === null) return undefined;
      if (!isInSight(caller, event.before, isMember)) return undefined;
      return { kind: 'image-withdrawn', imageId: event.imageId, version: event.version };
    }
    case 'image-deleted': {
      // Members are told also when the image was not shared at the end: they may not have heard of that before it was gone.
      const wasMember = caller.projectId !== null && event.members.includes(caller.projectId);
      return wasMember || isInSight(caller, image, () => false) ? event : undefined;
    }
    case 'member-created':
    case 'member-updated': {
      const own = event.memberId === caller.projectId && image.visibility === 'shared';
      return own || managesMembers(caller, image) ? event : undefined;
    }
    case 'member-deleted':
      // It was shared when the member was made, so that this tells nothing but that it is over.
      return event.memberId === caller.projectId || managesMembers(caller, image) ? event : undefined;
  }
}
