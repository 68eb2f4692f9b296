import type { ProjectId } from '../base/brand.js';
import type { Caller } from '../domain/caller.js';
import { asSeenBy, type CatalogEvent, type SeenEvent } from '../domain/catalog-event.js';
import { type FeedPoint, feedToken, placeInFeed } from '../domain/feed-point.js';
import type { Sight } from '../domain/visibility.js';
import { isMember } from './find-image.js';
import type { CatalogReader } from './ports/catalog.js';

/** What a watcher is told. */
export interface FeedMessage {
  /** Watching after this token goes on behind this message. */
  readonly token: string;
  readonly atMs: number;
  /** null: nothing happened that the caller may know of; the token has come on. */
  readonly event: SeenEvent | null;
}

interface PlacedEvent {
  readonly token: string;
  readonly atMs: number;
  readonly event: CatalogEvent;
  /** The image as it is now, and which projects are members of it, as far as somebody asked. */
  readonly sight: Sight;
  readonly members: Map<ProjectId, boolean>;
}

/** The changes after a point, the same for every caller. */
export interface FeedPage {
  readonly events: readonly PlacedEvent[];
  /** Where the next page begins. */
  readonly next: FeedPoint;
  /** More may follow. */
  readonly full: boolean;
}

/** A change may tell of several images; an image is read from memory or in some 60 µs. */
const CHANGES_PER_PAGE = 100;

/** Reads the changes after a point, or says why there are none to read. */
export function readFeedPage(reader: CatalogReader, from: FeedPoint): FeedPage | 'gone' | 'ahead' {
  const state = reader.feedState();
  const place = placeInFeed(from, state, reader.feedEndOf(from.epoch));
  if (place !== 'kept') return place;
  const changes = reader.changes(from.seq, CHANGES_PER_PAGE);
  const { epoch } = state;
  const events = changes.flatMap(({ seq, atMs, events: told }) =>
    told.flatMap((event, index): PlacedEvent[] => {
      const sight = reader.image(event.imageId);
      if (sight === undefined) return [];
      // Who stops in the middle of a change is told of all of it again.
      const done = index === told.length - 1 ? seq : seq - 1;
      return [{ token: feedToken({ epoch, seq: done }), atMs, event, sight, members: new Map() }];
    }),
  );
  const next = { epoch, seq: changes.at(-1)?.seq ?? from.seq };
  return { events, next, full: changes.length === CHANGES_PER_PAGE };
}

/** What of a page the caller may know. */
export function messagesFor(caller: Caller, reader: CatalogReader, page: FeedPage): readonly FeedMessage[] {
  return page.events.flatMap(({ token, atMs, event, sight, members }) => {
    const { owner, visibility } = sight;
    const ofCaller = (): boolean => {
      const { projectId } = caller;
      if (projectId === null) return false;
      const known = members.get(projectId) ?? isMember(reader, caller, event.imageId);
      members.set(projectId, known);
      return known;
    };
    const image = { owner, visibility, isMember: ofCaller };
    const seen = asSeenBy(caller, event, image);
    return seen === undefined ? [] : [{ token, atMs, event: seen }];
  });
}
