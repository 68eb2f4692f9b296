/**
 * What a node does to images of its own accord, as the catalog lists it (domain/image-work.ts): a few pieces at a time, each again
 * after a pause when it fails, and after a restart. Whoever finishes a piece removes its row with the change that finishes it.
 */
import { asImageId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { WORK_KINDS, type WorkKind, type WorkName } from '../domain/image-work.js';
import type { Log } from './log.js';
import type { Timer } from './ports/clock.js';

/**
 * Does one piece that has failed so often since the node started. The signal fires when it is wanted no more, or takes too long. What it throws is logged,
 * and the piece is tried again later.
 */
export type DoWork = (imageId: ImageId, signal: AbortSignal, failures: number) => Promise<void>;

/** At most `limit` pieces of this node's, ordered by kind and image, after this one. */
export type ListWork = (after: WorkName | undefined, limit: number) => Promise<readonly WorkName[]>;

/** Of each kind: none of them waits for another. */
const RUNNING_MAX = 2;
const HOUR_MS = 3_600_000;
/** So long may a piece take, or a source that gives a byte now and then would hold its slot for good. Repairs have sources of our own. */
const LIMIT_MS: Readonly<Record<WorkKind, number>> = { hash: 6 * HOUR_MS, repair: 24 * HOUR_MS };
const PAGE = 100;
/** After all images. */
const LAST_IMAGE = asImageId('ffffffff-ffff-ffff-ffff-ffffffffffff');
/** The catalog may change a thousand times a second. */
const LOOK_PAUSE_MS = 500;
/** Where much was read and has to wait, it is read again the more seldom the more it is. */
const LOOK_PAUSE_PER_PIECE_MS = 2;
const FIRST_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = HOUR_MS;
/** Pieces whose failures are remembered; beyond that the oldest are tried sooner than they would be. */
const FAILED_MAX = 10_000;

interface WorkContext {
  readonly list: ListWork;
  readonly timer: Timer;
  readonly log: Log;
}

interface Piece {
  readonly kind: WorkKind;
  readonly imageId: ImageId;
  readonly stop: AbortController;
  ended: Promise<void>;
}

interface Pause {
  readonly untilMs: number;
  readonly failures: number;
}

export class BackgroundWork {
  readonly #context: WorkContext;
  readonly #kinds: Readonly<Record<WorkKind, DoWork>>;
  readonly #running = new Map<string, Piece>();
  readonly #paused = new Map<string, Pause>();
  #next: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lookPauseMs = LOOK_PAUSE_MS;
  #closed = false;

  constructor(context: WorkContext, kinds: Readonly<Record<WorkKind, DoWork>>) {
    this.#context = context;
    this.#kinds = kinds;
  }

  /** Looks for work soon; call it when there may be some. */
  wake(): void {
    this.#lookIn(this.#lookPauseMs);
  }

  /** Ends what is being done to the image now. */
  stop(imageId: ImageId): void {
    for (const piece of this.#running.values()) if (piece.imageId === imageId) piece.stop.abort();
  }

  /** Ends everything; resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#next?.cancel();
    await this.#looking;
    for (const { stop } of this.#running.values()) stop.abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #lookIn(delayMs: number): void {
    const { timer } = this.#context;
    const atMs = timer.elapsedMs() + delayMs;
    if (this.#closed || (this.#next !== undefined && this.#next.atMs <= atMs)) return;
    this.#next?.cancel();
    const cancel = timer.schedule(() => {
      this.#next = undefined;
      this.#looking = this.#looking.then(() => this.#look());
    }, delayMs);
    this.#next = { atMs, cancel };
  }

  async #look(): Promise<void> {
    try {
      let read = 0;
      let after: WorkName | undefined;
      while (!this.#closed && WORK_KINDS.some((kind) => this.#hasRoom(kind))) {
        const page = await this.#context.list(after, PAGE);
        for (const work of page) this.#start(work);
        read += page.length;
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) break;
        // What there is no room for is not read.
        after = this.#hasRoom(last.kind) ? last : { ...last, imageId: LAST_IMAGE ?? last.imageId };
      }
      this.#lookPauseMs = Math.max(LOOK_PAUSE_MS, read * LOOK_PAUSE_PER_PIECE_MS);
    } catch (error) {
      this.#context.log.warn({ err: error }, 'background work not read, will be tried again');
      this.#lookIn(FIRST_PAUSE_MS);
    }
  }

  #hasRoom(kind: WorkKind): boolean {
    return [...this.#running.values()].filter((piece) => piece.kind === kind).length < RUNNING_MAX;
  }

  #start(work: WorkName): void {
    const name = `${work.kind} ${work.imageId}`;
    const pause = this.#paused.get(name);
    if (this.#closed || !this.#hasRoom(work.kind) || this.#running.has(name)) return;
    const leftMs = (pause?.untilMs ?? 0) - this.#context.timer.elapsedMs();
    if (leftMs > 0) {
      this.#lookIn(leftMs);
      return;
    }
    const stop = new AbortController();
    const piece = { ...{ kind: work.kind, imageId: work.imageId }, stop, ended: Promise.resolve() };
    this.#running.set(name, piece);
    piece.ended = this.#do(work, name, stop.signal).finally(() => {
      this.#running.delete(name);
      this.#lookIn(LOOK_PAUSE_MS);
    });
  }

  async #do({ kind, imageId }: WorkName, name: string, stop: AbortSignal): Promise<void> {
    const failures = this.#paused.get(name)?.failures ?? 0;
    const limit = new AbortController();
    const late = new ServiceError('DEADLINE_EXCEEDED', `it took longer than ${LIMIT_MS[kind] / HOUR_MS} hours`);
    const cancel = this.#context.timer.schedule(() => limit.abort(late), LIMIT_MS[kind]);
    try {
      await this.#kinds[kind](imageId, AbortSignal.any([stop, limit.signal]), failures);
      // A copy of the catalog may still list what was just done.
      this.#pause(name, FIRST_PAUSE_MS, 0);
    } catch (error) {
      if (stop.aborted) return;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      this.#context.log.warn({ err: error, kind, imageId, pauseMs }, 'background work failed, will be tried again');
      this.#pause(name, pauseMs, failures + 1);
    } finally {
      cancel();
    }
  }

  #pause(name: string, pauseMs: number, failures: number): void {
    this.#paused.delete(name);
    this.#paused.set(name, { untilMs: this.#context.timer.elapsedMs() + pauseMs, failures });
    const [oldest] = this.#paused.keys();
    if (this.#paused.size > FAILED_MAX && oldest !== undefined) this.#paused.delete(oldest);
  }
}
