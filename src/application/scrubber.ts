/**
 * The scrubber of a node: reads slowly what the node keeps and tells of damage that no reader has met, and removes what nothing
 * names. One thing at a time, at a bounded pace; it goes on after a restart where it was.
 */
import type { ImageId } from '../base/brand.js';
import { failedWith } from '../base/service-error.js';
import type { Image } from '../domain/image.js';
import type { DamageReports } from './damage-reports.js';
import { type ExamineContext, examineLocation } from './examine-location.js';
import { sweepOrphans, type SweepContext } from './orphan-sweep.js';
import { isOwn } from './own-objects.js';
import { Pace } from './pace.js';
import type { ScrubState, ScrubStateFile } from './ports/scrub-state.js';

/** Images of one page of the walk: each is some hundred microseconds of this thread. */
const PAGE = 50;
/** After a start, and after a failure. */
const LATER_MS = 60_000;
/** A pass notes where it is no oftener: what is noted holds all orphans. */
const NOTE_EVERY_MS = 5000;
/** Orphans are looked for twice in the time they are kept, but so seldom. */
const SWEEP_SELDOM_MS = 12 * 60 * 60 * 1000;

export interface ScrubOptions {
  /** From the start of one pass to that of the next; 0: nothing is read. */
  readonly intervalMs: number;
  /** Bytes a second. */
  readonly rateBytes: number;
  /** How long an orphan is kept; 0: for ever. */
  readonly orphanGraceMs: number;
}

export interface ScrubContext extends ExamineContext, SweepContext {
  readonly damage: DamageReports;
  readonly state: ScrubStateFile;
}

/** How far the scrubber has come; counts are since it started. */
export interface ScrubProgress {
  /** null: no pass has begun. */
  readonly passStartedAtMs: number | null;
  readonly passEndedAtMs: number | null;
  readonly objects: number;
  readonly bytes: number;
  readonly orphans: number;
}

export class Scrubber {
  readonly #context: ScrubContext;
  readonly #options: ScrubOptions;
  readonly #stop = new AbortController();
  readonly #pace: Pace;
  #state: ScrubState = { passStartedAtMs: 0, after: null, orphans: new Map() };
  #sweepDueMs = 0;
  #noteDueMs = 0;
  #isNoted = true;
  #counts = { objects: 0, bytes: 0, orphans: 0 };
  #passEndedAtMs: number | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(context: ScrubContext, options: ScrubOptions) {
    this.#context = context;
    this.#options = options;
    this.#pace = new Pace(context.timer, { bytesPerSecond: options.rateBytes, signal: this.#stop.signal });
  }

  start(): void {
    if (this.#options.intervalMs > 0 || this.#options.orphanGraceMs > 0) this.#running = this.#run();
  }

  progress(): ScrubProgress {
    const { passStartedAtMs } = this.#state;
    return {
      passStartedAtMs: passStartedAtMs === 0 ? null : passStartedAtMs,
      passEndedAtMs: this.#passEndedAtMs,
      ...this.#counts,
    };
  }

  /** Ends what it does; resolves when that is over. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (!this.#isNoted)
      await this.#save({}).catch((error: unknown) => {
        this.#context.log.warn(
          { err: error },
          'how far the scrubber came is not noted, it does the last seconds again',
        );
      });
  }

  async #run(): Promise<void> {
    const { log, state } = this.#context;
    const { signal } = this.#stop;
    const { intervalMs, orphanGraceMs } = this.#options;
    const shortest = Math.min(...[intervalMs, orphanGraceMs / 2].filter((ms) => ms > 0), LATER_MS);
    let loaded = false;
    // None of them keeps the others from being done.
    const steps = [() => this.#sweepIfDue(), () => this.#passIfDue()];
    const attempt = async (step: () => Promise<void>): Promise<boolean> => {
      try {
        await step();
        return true;
      } catch (error) {
        signal.throwIfAborted();
        log.warn({ err: error }, 'the scrubber could not go on, will try again');
        return false;
      }
    };
    const load = async (): Promise<void> => {
      this.#state = await state.load();
    };
    try {
      for (;;) {
        loaded ||= await attempt(load);
        await this.#pace.sleep(shortest);
        if (loaded) for (const step of steps) await attempt(step);
      }
    } catch (error) {
      if (!signal.aborted) log.error({ err: error }, 'the scrubber has ended');
    }
  }

  async #sweepIfDue(): Promise<void> {
    const { orphanGraceMs: graceMs } = this.#options;
    const { timer } = this.#context;
    if (graceMs === 0 || timer.elapsedMs() < this.#sweepDueMs) return;
    const { signal } = this.#stop;
    const { seen, removed } = await sweepOrphans(this.#context, { graceMs, seen: this.#state.orphans, signal });
    this.#sweepDueMs = timer.elapsedMs() + Math.min(graceMs / 2, SWEEP_SELDOM_MS);
    this.#counts.orphans += removed;
    if (seen.size > 0 || this.#state.orphans.size > 0) await this.#save({ orphans: seen });
  }

  async #passIfDue(): Promise<void> {
    const { clock, catalog } = this.#context;
    const { intervalMs } = this.#options;
    if (intervalMs === 0 || !catalog.status().ok) return;
    const { passStartedAtMs, after: begun } = this.#state;
    if (begun === null && clock.nowMs() - passStartedAtMs < intervalMs) return;
    if (begun === null) await this.#save({ passStartedAtMs: clock.nowMs(), after: '' });
    this.#passEndedAtMs = null;
    for (;;) {
      this.#stop.signal.throwIfAborted();
      const { after } = this.#state;
      const from = after === null || after === '' ? undefined : after;
      const page = await catalog.read((reader) => reader.imagesAfter(from, PAGE));
      for (const image of page) if (await this.#examine(image)) await this.#note(image.id);
      const last = page.at(-1);
      if (last === undefined) break;
      await this.#note(last.id);
    }
    this.#passEndedAtMs = clock.nowMs();
    await this.#save({ after: null });
  }

  /** Looks at what the node has of the image; false: nothing. */
  async #examine(listed: Image): Promise<boolean> {
    if (!this.#isKept(listed)) return false;
    // The page is as old as what was read since.
    const image = await this.#context.catalog.read((reader) => reader.image(listed.id));
    if (image === undefined || !this.#isKept(image) || !('data' in image)) return false;
    for (const location of image.data.locations) {
      if (!isOwn(this.#context, location)) continue;
      await this.#examineLocation(image.id, { data: image.data, location });
    }
    return true;
  }

  #isKept(image: Image): boolean {
    if (!('data' in image) || image.status === 'pending_delete') return false;
    return image.data.locations.some((location) => isOwn(this.#context, location));
  }

  async #examineLocation(imageId: ImageId, place: Parameters<typeof examineLocation>[1]): Promise<void> {
    const { damage, stores, log } = this.#context;
    const { location, data } = place;
    const { signal } = this.#stop;
    try {
      // Object stores check what they keep themselves, and would charge for each read. What is marked may be whole again.
      const whole = stores.get(location.storeId)?.type === 'file' || location.damage !== undefined;
      const pace = (bytes: number): Promise<void> => this.#read(bytes);
      const found =
        (await examineLocation(this.#context, place, { signal, pace, whole })) ?? location.damage ?? 'whole';
      this.#counts.objects += 1;
      // Also what is marked: a repair that was in vain is tried once a pass.
      if (found !== 'whole' || location.damage !== undefined) await damage.tell({ imageId, location, data }, found);
    } catch (error) {
      signal.throwIfAborted();
      // It was removed, or moved, while it was read.
      if (failedWith(error, 'NOT_FOUND')) return;
      log.warn({ err: error, imageId, location: location.id }, 'location not checked, will be in the next pass');
    }
  }

  async #read(bytes: number): Promise<void> {
    this.#counts.bytes += bytes;
    await this.#pace.take(bytes);
  }

  /** The pass has done the images up to this one. */
  async #note(after: ImageId): Promise<void> {
    this.#state = { ...this.#state, after };
    this.#isNoted = false;
    if (this.#context.timer.elapsedMs() >= this.#noteDueMs) await this.#save({});
  }

  async #save(changes: Partial<ScrubState>): Promise<void> {
    this.#state = { ...this.#state, ...changes };
    await this.#context.state.save(this.#state);
    this.#isNoted = true;
    this.#noteDueMs = this.#context.timer.elapsedMs() + NOTE_EVERY_MS;
  }
}
