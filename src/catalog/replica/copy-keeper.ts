/**
 * Keeps a good copy of the primary under the node's reads.
 *
 *   following(g)      the sync brings generation g forward, and reads are of g
 *   copying(g+1)      the sync fills a new generation; reads, if any, stay on the old one, which nothing writes any more
 *   checking(g+1)     it is filled: every page is looked at, while the sync goes on
 *   resting           a copy failed not long ago: nothing syncs for a while
 *
 *   following --damaged, foreign, missing files--> copying --filled--> checking --good--> following(g+1)
 *   copying, checking --damaged--> resting --pause over--> copying(g+2)
 */
import type { FilePosition } from '../file-reads.js';
import { CopyReads } from './copy-reads.js';
import { checkCopy } from './check-copy.js';
import { type FileFacts, positionText, reaches } from './file-facts.js';
import type { Generations } from './generations.js';
import type { ReplicaLog } from './replica-log.js';
import { messageOf } from './sync-failure.js';
import type { FailedSync, SyncListener } from './sync-source.js';

/** The part of the sync that the keeper steers. */
export interface SyncControl {
  follow(path: string): void;
  rest(): void;
}

export interface KeeperListener {
  /** Where the reads are now, and when (by performance.now()) the sync ended that brought them there. */
  onFresh(facts: FileFacts, syncedAtMs: number): void;
}

export interface KeeperParts {
  readonly generations: Generations;
  readonly sync: SyncControl;
  readonly log: ReplicaLog;
  readonly listener: KeeperListener;
}

const COPY_PAUSE_MIN_MS = 1000;
const COPY_PAUSE_MAX_MS = 60_000;
/** A copy that was good for so long is not the cause of what comes next. */
const PROVEN_MS = 60_000;
/** A primary may be without a schema for a moment after its first start; a copy should not be for longer. */
const EMPTY_MS = 30_000;
const LOOK_AT_FILES_EVERY_MS = 1000;
const SUSPECT_EVERY_MS = 60_000;

export class CopyKeeper implements SyncListener {
  readonly #generations: Generations;
  readonly #sync: SyncControl;
  readonly #log: ReplicaLog;
  readonly #listener: KeeperListener;
  readonly #stop = new AbortController();
  /** Generations whose files are open for reads. */
  readonly #open = new Set<number>();
  #reads: CopyReads | undefined;
  /** The generation that the sync works on. */
  #target = 0;
  #checking = false;
  #trouble: string | undefined = 'it is being opened';
  /** The newest position that the reads have had. */
  #highest: FilePosition;
  #fileNumber: number | undefined;
  #syncedAtMs = 0;
  #lookedAtMs = 0;
  #suspectedAtMs = Number.NEGATIVE_INFINITY;
  #emptySinceMs: number | undefined;
  #copiedAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs = 0;
  #pause: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #verifying: Promise<void> = Promise.resolve();

  constructor({ generations, sync, log, listener }: KeeperParts) {
    this.#generations = generations;
    this.#sync = sync;
    this.#log = log;
    this.#listener = listener;
    this.#highest = { epoch: generations.state.epoch, frame: 0 };
  }

  /** The reads of the copy in use; they may be replaced whenever the caller yields. */
  get reads(): CopyReads | undefined {
    return this.#reads;
  }

  /** What is wrong with the sync or the copy, in words, or undefined. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Serves what there is, and starts the sync: of that, or of a first or new copy. */
  async open(): Promise<void> {
    const { generation, epoch } = this.#generations.state;
    await this.#generations.removeAllBut([generation]);
    const problem = generation === 0 ? 'this node has none yet' : this.#openCopy(generation);
    if (problem === undefined) {
      await this.#generations.record(generation, epoch);
      this.#target = generation;
      this.#trouble = 'it has not been synced since the start';
      this.#sync.follow(this.#generations.pathOf(generation));
      this.#verify();
    } else this.#copyAnew(problem);
  }

  onSynced(): void {
    if (this.#stop.signal.aborted) return;
    this.#syncedAtMs = performance.now();
    if (this.#reads?.generation === this.#target) this.#brought(this.#reads);
    else if (!this.#checking) this.#filled();
  }

  onFailed({ kind, message }: FailedSync): void {
    if (this.#stop.signal.aborted) return;
    if (kind === 'copy') {
      this.#copyAnew(message);
      return;
    }
    const trouble = `the sync fails: ${message}`;
    // Once for a row of the same: a primary may be away for days.
    if (this.#trouble !== trouble) this.#log.warn({ kind, problem: message }, 'catalog: the replica cannot be synced');
    this.#trouble = trouble;
  }

  /** A read found the copy damaged. */
  onDamage(reads: CopyReads, problem: string): void {
    if (reads === this.#reads && reads.generation === this.#target) this.#copyAnew(problem);
  }

  /** A read found a value that the catalog never wrote: damage, or the primary has it too. */
  suspect(): void {
    if (performance.now() - this.#suspectedAtMs < SUSPECT_EVERY_MS) return;
    this.#suspectedAtMs = performance.now();
    this.#verify();
  }

  /** Ends checks and reads; the sync must have ended before. */
  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#pause);
    await this.#verifying;
    await this.#work;
    await this.#reads?.close();
    await this.#generations.settle();
  }

  /** Opens the generation for reads and tells what keeps the sync from bringing it forward, if anything does. */
  #openCopy(generation: number): string | undefined {
    const missing = this.#generations.missing(generation);
    let reads: CopyReads;
    try {
      reads = new CopyReads(this.#generations.pathOf(generation), generation);
    } catch (error) {
      return missing ?? messageOf(error);
    }
    const facts = reads.facts();
    if (facts.position === undefined) {
      this.#do(async () => await reads.close());
      return 'it has no schema';
    }
    this.#use(reads);
    this.#highest = facts.position;
    this.#listener.onFresh(facts, Number.NEGATIVE_INFINITY);
    const { condemned, epoch } = this.#generations.state;
    if (condemned !== '') return condemned;
    if (facts.position.epoch < epoch) return `it was at epoch ${epoch} and is at ${facts.position.epoch}`;
    if (this.#generations.interrupted) return 'the machine stopped before all of the copy was on its disk';
    return missing;
  }

  #use(reads: CopyReads): void {
    this.#reads = reads;
    this.#open.add(reads.generation);
    this.#fileNumber = this.#generations.fileNumber(reads.generation);
  }

  /** The copy in use has been synced. */
  #brought(reads: CopyReads): void {
    let facts: FileFacts;
    try {
      facts = reads.facts();
    } catch (error) {
      this.#copyAnew(messageOf(error));
      return;
    }
    const { position } = facts;
    const problem = this.#filesProblem(reads.generation);
    if (problem !== undefined || position === undefined) {
      this.#copyAnew(problem ?? 'it has lost its schema');
      return;
    }
    if (!reaches(position, this.#highest)) {
      const [had, has] = [positionText(this.#highest), positionText(position)];
      this.#log.error({ had, has }, 'catalog: the primary went back in its history: restored without a new epoch?');
      this.#highest = position;
      this.#copyAnew(`it was at ${had} and the primary is at ${has}`);
      return;
    }
    if (this.#trouble !== undefined) this.#log.info({ position: positionText(position) }, 'catalog: replica is synced');
    this.#trouble = undefined;
    this.#highest = position;
    if (position.epoch > this.#generations.state.epoch) {
      this.#do(async () => await this.#generations.record(this.#generations.state.generation, position.epoch));
    }
    this.#listener.onFresh(facts, this.#syncedAtMs);
  }

  /** Files that are removed or replaced stay open here and in the sync: all seems well until the next start. */
  #filesProblem(generation: number): string | undefined {
    if (performance.now() - this.#lookedAtMs < LOOK_AT_FILES_EVERY_MS) return undefined;
    this.#lookedAtMs = performance.now();
    const missing = this.#generations.missing(generation);
    if (missing !== undefined) return missing;
    return this.#generations.fileNumber(generation) === this.#fileNumber ? undefined : 'another file took its place';
  }

  /** A new copy has been synced. */
  #filled(): void {
    let fresh: CopyReads;
    try {
      fresh = new CopyReads(this.#generations.pathOf(this.#target), this.#target);
    } catch (error) {
      this.#copyAnew(messageOf(error));
      return;
    }
    if (fresh.facts().position === undefined) {
      this.#do(async () => await fresh.close());
      this.#trouble = 'the primary has no schema yet';
      this.#emptySinceMs ??= performance.now();
      if (performance.now() - this.#emptySinceMs > EMPTY_MS) this.#copyAnew('it has no schema after good syncs');
      return;
    }
    this.#checking = true;
    this.#do(async () => await this.#checkAndUse(fresh));
  }

  async #checkAndUse(fresh: CopyReads): Promise<void> {
    try {
      const problem = await checkCopy(this.#generations.pathOf(fresh.generation), this.#stop.signal);
      const { position } = fresh.facts();
      const wanted = !this.#stop.signal.aborted && this.#target === fresh.generation;
      if (wanted && problem === null && position !== undefined) {
        // From here on a restart finds the new one.
        await this.#generations.record(fresh.generation, position.epoch);
        await this.#swap(fresh);
        return;
      }
      await fresh.close();
      if (wanted) this.#copyAnew(problem ?? 'it has lost its schema');
    } catch (error) {
      if (this.#reads !== fresh) await fresh.close();
      throw error;
    }
  }

  async #swap(fresh: CopyReads): Promise<void> {
    const old = this.#reads;
    const facts = fresh.facts();
    this.#use(fresh);
    this.#checking = false;
    this.#copiedAtMs = performance.now();
    this.#emptySinceMs = undefined;
    this.#trouble = undefined;
    if (facts.position !== undefined) this.#highest = facts.position;
    const { generation } = fresh;
    this.#log.info({ generation, position: positionText(facts.position) }, 'catalog: a new copy is in use');
    this.#listener.onFresh(facts, this.#syncedAtMs);
    if (old !== undefined) {
      await old.close();
      this.#open.delete(old.generation);
    }
    await this.#generations.removeAllBut([...this.#open, this.#target]);
  }

  /** Makes a new copy beside the one in use, at once or, when the last one was no good, after a pause. */
  #copyAnew(reason: string): void {
    if (this.#stop.signal.aborted) return;
    if (this.#reads?.generation === this.#target) {
      // What a restart must not bring forward either.
      this.#do(async () => await this.#generations.condemn(reason));
      if (performance.now() - this.#copiedAtMs > PROVEN_MS) this.#pauseMs = 0;
    }
    this.#target = this.#generations.next();
    this.#checking = false;
    this.#emptySinceMs = undefined;
    this.#trouble = `it is being copied from the primary: ${reason}`;
    this.#log.warn({ reason, pauseMs: this.#pauseMs }, 'catalog: the catalog is copied from the primary');
    this.#do(async () => await this.#generations.removeAllBut([...this.#open, this.#target]));
    const follow = (): void => this.#sync.follow(this.#generations.pathOf(this.#target));
    clearTimeout(this.#pause);
    if (this.#pauseMs === 0) follow();
    else {
      this.#sync.rest();
      this.#pause = setTimeout(follow, this.#pauseMs);
    }
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, COPY_PAUSE_MIN_MS), COPY_PAUSE_MAX_MS);
  }

  /** Looks at every page of the copy in use. */
  #verify(): void {
    const reads = this.#reads;
    if (reads === undefined) return;
    this.#verifying = checkCopy(this.#generations.pathOf(reads.generation), this.#stop.signal).then((problem) => {
      if (problem !== null) this.onDamage(reads, problem);
    });
  }

  /** Steps that change the folder run one after the other. */
  #do(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch((error: unknown) => {
      this.#log.error({ problem: messageOf(error) }, 'catalog: work on the replica failed');
      this.#checking = false;
    });
  }
}
