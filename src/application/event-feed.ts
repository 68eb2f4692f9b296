/**
 * The feed of changes: what happened in the catalog, in order, for those who may know. Every operation's row holds its events
 * (docs/decisions/0070), so the feed of a node is as new as its catalog, and a watcher is no more than a place in it.
 */
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { type FeedPoint, feedToken, parseFeedToken } from '../domain/feed-point.js';
import { authorize } from '../domain/policy.js';
import { Bell } from './bell.js';
import { type FeedMessage, type FeedPage, messagesFor, readFeedPage } from './feed-page.js';
import type { Catalog, CatalogReader } from './ports/catalog.js';
import type { Clock, Timer } from './ports/clock.js';

export interface EventFeedOptions {
  readonly catalog: Pick<Catalog, 'read' | 'status' | 'onAdvance'>;
  readonly clock: Clock;
  readonly timer: Timer;
  /** Throws UNAVAILABLE while the catalog is too old to say who may see what. */
  readonly checkAge: () => void;
  /** Asks for news of the catalog, where it is a copy. */
  readonly refresh: () => void;
  /** Who hears nothing else hears so often that the feed goes on; 15 s unless told. */
  readonly heartbeatMs?: number;
  /** A stream ends after this long, so that its caller proves anew who it is; half an hour unless told. */
  readonly streamMs?: number;
  /** Watchers at a time; 1000 unless told. */
  readonly watchersMax?: number;
}

export interface WatchRequest {
  /** The token of the last message that was received; '': from now on. */
  readonly after: string;
  readonly signal: AbortSignal;
}

/** Commits that come within this share one look. */
const GATHER_MS = 10;
/** How long a token that this node's catalog does not have yet is waited for. */
const AHEAD_WAIT_MS = 5000;
const AHEAD_LOOK_MS = 100;
/** Two ends of a sync are further apart, and the error of the clock is smaller. */
const SYNC_APART_MS = 10;

/** A page as one caller sees it. */
interface SeenPage extends Pick<FeedPage, 'next' | 'full'> {
  readonly from: FeedPoint;
  readonly messages: readonly FeedMessage[];
}

export class EventFeed {
  readonly #options: Required<EventFeedOptions>;
  readonly #bell: Bell;
  readonly #unsubscribe: () => void;
  #watchers = 0;
  #closed = false;
  #stopRinging: (() => void) | undefined;
  /** The page that was read last: most watchers stand at the same place. */
  #shared: { readonly from: FeedPoint; readonly page: FeedPage } | undefined;

  constructor(options: EventFeedOptions) {
    this.#options = { heartbeatMs: 15_000, streamMs: 30 * 60_000, watchersMax: 1000, ...options };
    this.#bell = new Bell(options.timer);
    this.#unsubscribe = options.catalog.onAdvance(() => this.#advanced());
  }

  get watchers(): number {
    return this.#watchers;
  }

  /**
   * Tells the caller what happens after the token, or from now on. The first message says where that is and has no event. Ends
   * when the signal fires, when the feed is closed, and after `streamMs`: the last token goes on from there.
   *
   * @throws ServiceError FORBIDDEN: no role that may read. INVALID_ARGUMENT: no token. EVENTS_GONE: what followed the token is not
   *   known any more. TOO_MANY_WATCHERS. UNAVAILABLE: the catalog is behind the token, too old, or closed.
   */
  async *watch(caller: Caller, { after, signal }: WatchRequest): AsyncGenerator<FeedMessage, void, undefined> {
    authorize('get_images', caller, { owner: caller.projectId });
    const given = after === '' ? undefined : parseFeedToken(after);
    const { heartbeatMs, streamMs, timer } = this.#options;
    this.#checkRoom();
    this.#watchers += 1;
    try {
      const endsAtMs = timer.elapsedMs() + streamMs;
      let { rings } = this.#bell;
      let page = await this.#next(caller, given, signal);
      yield this.#heartbeat(page.from);
      let saidAtMs = timer.elapsedMs();
      for (;;) {
        yield* page.messages;
        const nowMs = timer.elapsedMs();
        if (page.messages.length > 0) saidAtMs = nowMs;
        else if (nowMs >= saidAtMs + heartbeatMs) {
          yield this.#heartbeat(page.next);
          saidAtMs = nowMs;
        }
        const waitMs = Math.min(saidAtMs + heartbeatMs, endsAtMs) - timer.elapsedMs();
        // Also between full pages: reads are synchronous, and nobody else would have a turn until this one has caught up.
        await this.#bell.wait(page.full ? undefined : rings, page.full ? 0 : waitMs, signal);
        if (this.#closed || signal.aborted || timer.elapsedMs() >= endsAtMs) return;
        ({ rings } = this.#bell);
        page = await this.#next(caller, page.next, signal);
      }
    } finally {
      this.#watchers -= 1;
    }
  }

  /** Ends every stream. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#stopRinging?.();
    this.#bell.ring();
  }

  #checkRoom(): void {
    const { watchersMax } = this.#options;
    if (this.#closed) throw new ServiceError('UNAVAILABLE', 'this node is stopping: watch at another one');
    if (this.#watchers < watchersMax) return;
    const message = `this node has ${watchersMax} watchers already: watch at another one`;
    throw new ServiceError('TOO_MANY_WATCHERS', message, { details: { retry_after: '30' } });
  }

  #advanced(): void {
    if (this.#watchers === 0 || this.#stopRinging !== undefined) return;
    this.#stopRinging = this.#options.timer.schedule(() => {
      this.#stopRinging = undefined;
      this.#bell.ring();
    }, GATHER_MS);
  }

  #heartbeat(point: FeedPoint): FeedMessage {
    return { token: feedToken(point), atMs: this.#options.clock.nowMs(), event: null };
  }

  /**
   * The page after a point. A point that is ahead of this catalog is waited for: another node gave it out, whose copy is newer.
   * When this one has been brought up to date since and still does not have it, a restore or promotion took it away. It takes
   * the ends of two syncs to know: the first may have begun before the point was there.
   */
  async #next(caller: Caller, from: FeedPoint | undefined, signal: AbortSignal): Promise<SeenPage> {
    const askedAtMs = this.#options.timer.elapsedMs();
    let syncedAtMs: number | undefined;
    for (;;) {
      const lookedAtMs = this.#options.timer.elapsedMs();
      const { rings } = this.#bell;
      const { stalenessMs } = this.#options.catalog.status();
      const found = await this.#look(caller, from);
      if (typeof found !== 'string') return found;
      const syncMs = stalenessMs === null ? 0 : lookedAtMs - stalenessMs;
      if (found === 'gone' || (syncedAtMs !== undefined && syncMs > syncedAtMs + SYNC_APART_MS)) throw eventsGone();
      if (syncMs >= askedAtMs) syncedAtMs ??= syncMs;
      if (signal.aborted) throw new ServiceError('CANCELLED', 'the watcher went away');
      if (this.#closed || lookedAtMs > askedAtMs + AHEAD_WAIT_MS)
        throw new ServiceError(
          'UNAVAILABLE',
          "this node's copy of the catalog has not come as far as the token: retry later, or at another node",
          { details: { retry_after: '5' } },
        );
      this.#options.refresh();
      await this.#bell.wait(rings, AHEAD_LOOK_MS, signal);
    }
  }

  async #look(caller: Caller, from: FeedPoint | undefined): Promise<SeenPage | 'gone' | 'ahead'> {
    this.#options.checkAge();
    return this.#options.catalog.read((reader) => {
      const point = from ?? lastPoint(reader);
      const page = this.#page(reader, point);
      if (typeof page === 'string') return page;
      return { from: point, next: page.next, full: page.full, messages: messagesFor(caller, reader, page) };
    });
  }

  #page(reader: CatalogReader, from: FeedPoint): FeedPage | 'gone' | 'ahead' {
    const { epoch, lastSeq } = reader.feedState();
    const shared = this.#shared;
    // Nothing was changed since it was read, nor who sees the images of it.
    if (shared !== undefined && isSame(shared.from, from) && isSame(shared.page.next, { epoch, seq: lastSeq }))
      return shared.page;
    const page = readFeedPage(reader, from);
    if (typeof page !== 'string') this.#shared = { from, page };
    return page;
  }
}

function lastPoint(reader: CatalogReader): FeedPoint {
  const { epoch, lastSeq } = reader.feedState();
  return { epoch, seq: lastSeq };
}

function isSame(a: FeedPoint, b: FeedPoint): boolean {
  return a.epoch === b.epoch && a.seq === b.seq;
}

function eventsGone(): ServiceError {
  return new ServiceError(
    'EVENTS_GONE',
    'What happened after this token is no longer known: watch without a token, then list anew.',
  );
}
