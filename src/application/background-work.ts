/**
 * What a node does to images of its own accord, as the catalog lists it (domain/image-work.ts): a few pieces at a time, each again
 * after a pause when it fails, and after a restart. Whoever finishes a piece removes its row with the change that finishes it.
 */
import type { ImageId } from '../base/brand.js';
import type { ImageWork, WorkKind } from '../domain/image-work.js';
import type { Log } from './log.js';
import type { Timer } from './ports/clock.js';

/**
 * Does one piece that has failed so often since the node started. The signal fires when it is wanted no more. What it throws is logged,
 * and the piece is tried again later.
 */
export type DoWork = (imageId: ImageId, signal: AbortSignal, failures: number) => Promise<void>;

/** At most `limit` pieces of this node's, in a fixed order, after this one. */
export type ListWork = (after: ImageWork | undefined, limit: number) => Promise<readonly ImageWork[]>;

const RUNNING_MAX = 2;
const PAGE = 100;
/** The catalog may change a thousand times a second. */
const LOOK_PAUSE_MS = 500;
const FIRST_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = 3_600_000;
/** Pieces whose failures are remembered; beyond that the oldest are tried sooner than they would be. */
const FAILED_MAX = 10_000;

interface WorkContext {
  readonly list: ListWork;
  readonly timer: Timer;
  readonly log: Log;
}

interface Pause {
  readonly untilMs: number;
  readonly failures: number;
}

export class BackgroundWork {
  readonly #context: WorkContext;
  readonly #kinds: Readonly<Record<WorkKind, DoWork>>;
  readonly #running = new Map<
    string,
    { readonly imageId: ImageId; readonly stop: AbortController; ended: Promise<void> }
  >();
  readonly #paused = new Map<string, Pause>();
  #next: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(context: WorkContext, kinds: Readonly<Record<WorkKind, DoWork>>) {
    this.#context = context;
    this.#kinds = kinds;
  }

  /** Looks for work soon; call it when there may be some. */
  wake(): void {
    this.#lookIn(LOOK_PAUSE_MS);
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
      let after: ImageWork | undefined;
      while (!this.#closed && this.#running.size < RUNNING_MAX) {
        const page = await this.#context.list(after, PAGE);
        for (const work of page) this.#start(work);
        after = page.at(-1);
        if (page.length < PAGE) break;
      }
    } catch (error) {
      this.#context.log.warn({ err: error }, 'background work not read, will be tried again');
      this.#lookIn(FIRST_PAUSE_MS);
    }
  }

  #start(work: ImageWork): void {
    const name = `${work.kind} ${work.imageId}`;
    const pause = this.#paused.get(name);
    if (this.#closed || this.#running.size >= RUNNING_MAX || this.#running.has(name)) return;
    const leftMs = (pause?.untilMs ?? 0) - this.#context.timer.elapsedMs();
    if (leftMs > 0) {
      this.#lookIn(leftMs);
      return;
    }
    const stop = new AbortController();
    const piece = { imageId: work.imageId, stop, ended: Promise.resolve() };
    this.#running.set(name, piece);
    piece.ended = this.#do(work, name, stop.signal).finally(() => {
      this.#running.delete(name);
      this.wake();
    });
  }

  async #do(work: ImageWork, name: string, signal: AbortSignal): Promise<void> {
    const { kind, imageId } = work;
    const failures = this.#paused.get(name)?.failures ?? 0;
    try {
      await this.#kinds[kind](imageId, signal, failures);
      // A copy of the catalog may still list what was just done.
      this.#pause(name, FIRST_PAUSE_MS, 0);
    } catch (error) {
      if (signal.aborted) return;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      this.#context.log.warn({ err: error, kind, imageId, pauseMs }, 'background work failed, will be tried again');
      this.#pause(name, pauseMs, failures + 1);
    }
  }

  #pause(name: string, pauseMs: number, failures: number): void {
    this.#paused.delete(name);
    this.#paused.set(name, { untilMs: this.#context.timer.elapsedMs() + pauseMs, failures });
    const [oldest] = this.#paused.keys();
    if (this.#paused.size > FAILED_MAX && oldest !== undefined) this.#paused.delete(oldest);
  }
}
