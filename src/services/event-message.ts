import type { FeedMessage } from '../application/feed-page.js';
import type { SeenEvent } from '../domain/catalog-event.js';
import { EventKind, WatchEventsResponse } from '../gen/oriel/node/v1/node_service.js';
import { MEMBER_STATUS_TO_WIRE, STATUS_TO_WIRE } from './image-words.js';

const KINDS = {
  'image-created': EventKind.IMAGE_CREATED,
  'image-updated': EventKind.IMAGE_UPDATED,
  'image-deleted': EventKind.IMAGE_DELETED,
  'image-withdrawn': EventKind.IMAGE_WITHDRAWN,
  'member-created': EventKind.MEMBER_CREATED,
  'member-updated': EventKind.MEMBER_UPDATED,
  'member-deleted': EventKind.MEMBER_DELETED,
} as const satisfies Record<SeenEvent['kind'], EventKind>;

/** Turns what the feed says into its message. */
export function eventMessage({ token, atMs, event }: FeedMessage): WatchEventsResponse {
  const kind = event === null ? EventKind.HEARTBEAT : KINDS[event.kind];
  const common = { kind, token, occurredAt: new Date(atMs) };
  return WatchEventsResponse.fromPartial(event === null ? common : { ...common, ...factsOf(event) });
}

function factsOf(event: SeenEvent): Partial<WatchEventsResponse> {
  const { imageId } = event;
  switch (event.kind) {
    case 'image-created':
    case 'image-updated':
      return { imageId, imageVersion: BigInt(event.version), imageStatus: STATUS_TO_WIRE[event.status] };
    case 'image-deleted':
    case 'image-withdrawn':
      return { imageId, imageVersion: BigInt(event.version) };
    case 'member-created':
    case 'member-updated':
      return { imageId, memberId: event.memberId, memberStatus: MEMBER_STATUS_TO_WIRE[event.status] };
    case 'member-deleted':
      return { imageId, memberId: event.memberId };
  }
}
