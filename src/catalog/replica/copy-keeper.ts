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
import type { Point } from '../../domain/position.js';
import { checkCopy } from './check-copy.js';
import { CopyPauses } from './copy-pauses.js';
import { CopyReads } from './copy-reads.js';
import { CopyVerifier } from './copy-verifier.js';
import { isReached } from '../../domain/position.js';
import { type FileFacts, positionText } from './file-facts.js';
import { FileWatch } from './file-watch.js';
import type { Generations } from './generations.js';
import type { ReplicaLog } from './replica-log.js';
import { messageOf } from './sync-failure.js';
import type { FailedSync, SyncControl, SyncListener } from './sync-source.js';

export interface KeeperListener {
  /** Where the reads are now, and when (by performance.now()) the sync ended that brought them there, if one did. */
  onFresh(facts: FileFacts, syncedAtMs?: number): void;
}

export interface KeeperParts {
  readonly generations: Generations;
  readonly sync: SyncControl;
  readonly log: ReplicaLog;
  readonly listener: KeeperListener;
}

/** A primary may be without a schema for a moment after its first start; a copy should not be for longer. */
const EMPTY_MS = 30_000;
/** A process or a token that is replaced, or a primary that is started anew, is over sooner. */
const OUTAGE_MS = 2000;

export class CopyKeeper implements SyncListener {
  readonly #generations: Generations;
  readonly #sync: SyncControl;
  readonly #log: ReplicaLog;
  readonly #listener: KeeperListener;
  readonly #stop = new AbortController();
  readonly #pauses = new CopyPauses();
  readonly #verifier = new CopyVerifier(this.#stop.signal, (reads, problem) => this.onDamage(reads, problem));
  /** Generations whose files are open for reads. */
  readonly #open = new Set<number>();
  #reads: CopyReads | undefined;
  /** The generation that the sync works on. */
  #target = 0;
  #checking = false;
  #trouble: string | undefined = 'it is being opened';
  /** The newest position that the reads have had. */
  #highest: Point;
  #watch: FileWatch | undefined;
  #syncedAtMs = 0;
  /** Since when every sync has failed. */
  #failingSinceMs: number | undefined;
  #emptySinceMs: number | undefined;
  #pause: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor({ generations, sync, log, listener }: KeeperParts) {
    this.#generations = generations;
    this.#sync = sync;
    this.#log = log;
    this.#listener = listener;
    this.#highest = generations.state.position;
  }

  /** The reads of the copy in use; they may be replaced whenever the caller yields. */
  get reads(): CopyReads | undefined {
    return this.#reads;
  }

  /** What is wrong with the sync or the copy, in words, or undefined. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** What keeps news from coming, in words, when it has for a while; undefined: they come, or may in a moment. */
  get outage(): string | undefined {
    if (this.#failingSinceMs === undefined || performance.now() - this.#failingSinceMs < OUTAGE_MS) return undefined;
    return this.#trouble;
  }

  /** Serves what there is, and starts the sync: of that, or of a first or new copy. */
  async open(): Promise<void> {
    const { generation } = this.#generations.state;
    await this.#generations.removeAllBut([generation]);
    const problem = generation === 0 ? 'this node has none yet' : this.#openCopy(generation);
    if (problem === undefined) {
      await this.#noted(this.#generations.record(generation, this.#highest));
      this.#target = generation;
      this.#trouble = 'it has not been synced since the start';
      this.#sync.follow(this.#generations.pathOf(generation));
      if (this.#reads !== undefined) this.#verifier.verify(this.#reads);
    } else this.#copyAnew(problem);
  }

  onSynced(): void {
    if (this.#stop.signal.aborted) return;
    this.#syncedAtMs = performance.now();
    this.#failingSinceMs = undefined;
    if (this.#reads?.generation === this.#target) this.#brought(this.#reads);
    else if (!this.#checking) this.#filled();
  }

  onFailed({ kind, message }: FailedSync): void {
    if (this.#stop.signal.aborted) return;
    if (kind === 'copy') {
      this.#copyAnew(message);
      return;
    }
    this.#failingSinceMs ??= performance.now();
    const why = this.#generations.hasNoRoom() ? `its disk is full: ${message}` : message;
    const trouble = `the sync fails: ${why}`;
    // Once for a row of the same: a primary may be away for days.
    if (this.#trouble !== trouble) this.#log.warn({ kind, problem: why }, 'catalog: the replica cannot be synced');
    this.#trouble = trouble;
  }

  /** Tells of what a sync that still runs has brought by now: each group is one transaction of the file. */
  look(): void {
    const reads = this.#reads;
    if (reads === undefined || reads.generation !== this.#target) return;
    try {
      const facts = reads.facts();
      if (facts.position !== undefined && isReached(facts.position, this.#highest)) this.#listener.onFresh(facts);
    } catch {
      // The end of the sync tells.
    }
  }

  /** A read found the copy damaged. */
  onDamage(reads: CopyReads, problem: string): void {
    if (reads === this.#reads && reads.generation === this.#target) this.#copyAnew(problem);
  }

  /** A read found a value that the catalog never wrote: damage, or the primary has it too. */
  onSuspicion(reads: CopyReads): void {
    if (reads === this.#reads) this.#verifier.suspect(reads);
  }

  /** Ends checks and reads; the sync must have ended before. */
  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#pause);
    await this.#verifier.done();
    await this.#work;
    await this.#reads?.close();
    // The position of one that is not synced any more must not hide what it lacks.
    if (this.#reads?.generation === this.#target) await this.#noted(this.#generations.settle(this.#highest));
  }

  /** What is noted of a position lets the next start see what the copy has lost since; a full disk must not end the reads for it. */
  async #noted(writing: Promise<void>): Promise<void> {
    await writing.catch((error: unknown) => {
      const position = positionText(this.#highest);
      this.#log.warn({ problem: messageOf(error), position }, 'catalog: the position of the replica is not noted');
    });
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
    this.#listener.onFresh(facts);
    const { condemned, position } = this.#generations.state;
    if (condemned !== '') return condemned;
    // What is lost of its log is missing without a word: SQLite reads up to the first damaged frame.
    if (!isReached(facts.position, position)) {
      return `it was at ${positionText(position)} and is at ${positionText(facts.position)}`;
    }
    return missing;
  }

  #use(reads: CopyReads): void {
    this.#reads = reads;
    this.#open.add(reads.generation);
    this.#watch = new FileWatch(this.#generations, reads.generation);
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
    const problem = this.#watch?.problem();
    if (problem !== undefined || position === undefined) {
      this.#copyAnew(problem ?? 'it has lost its schema');
      return;
    }
    if (!isReached(position, this.#highest)) {
      const [had, has] = [positionText(this.#highest), positionText(position)];
      this.#log.error({ had, has }, 'catalog: the primary went back in its history: restored without a new epoch?');
      this.#highest = position;
      this.#copyAnew(`it was at ${had} and the primary is at ${has}`);
      return;
    }
    if (this.#trouble !== undefined) this.#log.info({ position: positionText(position) }, 'catalog: replica is synced');
    this.#trouble = undefined;
    this.#highest = position;
    if (position.epoch > this.#generations.state.position.epoch) {
      this.#do(async () => await this.#generations.record(reads.generation, position));
    }
    this.#listener.onFresh(facts, this.#syncedAtMs);
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
      const problem = await checkCopy(fresh.path, this.#stop.signal);
      const { position } = fresh.facts();
      const wanted = !this.#stop.signal.aborted && this.#target === fresh.generation;
      if (wanted && problem === null && position !== undefined) {
        // From here on a restart finds the new one.
        await this.#generations.record(fresh.generation, position);
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
    this.#pauses.used();
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
      this.#pauses.spoiled();
    }
    this.#target = this.#generations.next();
    this.#checking = false;
    this.#emptySinceMs = undefined;
    this.#trouble = `it is being copied from the primary: ${reason}`;
    const pauseMs = this.#pauses.next();
    this.#log.warn({ reason, pauseMs }, 'catalog: the catalog is copied from the primary');
    this.#do(async () => await this.#generations.removeAllBut([...this.#open, this.#target]));
    const follow = (): void => this.#sync.follow(this.#generations.pathOf(this.#target));
    clearTimeout(this.#pause);
    if (pauseMs === 0) follow();
    else {
      this.#sync.rest();
      this.#pause = setTimeout(follow, pauseMs);
    }
  }

  /** Steps that change the folder run one after the other. */
  #do(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch((error: unknown) => {
      this.#log.error({ problem: messageOf(error) }, 'catalog: work on the replica failed');
      this.#checking = false;
    });
  }
}
