/**
 * Keeps a good copy of the primary under the node's reads.
 *
 *   opening(g)        the file is there but cannot be opened (no room for SQLite's index, no descriptor left): again each second
 *   following(g)      the sync brings generation g forward, and reads are of g
 *   copying(g+1)      the sync fills a new generation; reads, if any, stay on the old one, which nothing writes any more
 *   checking(g+1)     it is filled: every page is looked at, while the sync goes on
 *   resting           a copy failed not long ago: nothing syncs for a while
 *
 *   opening --opened--> following
 *   opening, following --damaged, foreign, missing files--> copying --filled--> checking --good--> following(g+1)
 *   checking --the check could not be made--> checking again after a pause
 *   copying, checking --damaged--> resting --pause over--> copying(g+2)
 *
 * Only what SQLite or libSQL say of the file condemns a copy; an error without such words is tried again. The generation that
 * replica.json names is kept until that names another.
 */
import { failedWith } from '../../base/service-error.js';
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
import { messageOf, saysDamaged } from './sync-failure.js';
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
/** The pauses between tries: to open a copy, to note which is in use, and to check a new one. */
const OPEN_AGAIN_MS = 1000;
const NOTE_AGAIN_MS = 2000;
const CHECK_AGAIN_MS = 10_000;
/** A process or a token that is replaced, or a primary that is started anew, is over sooner. */
const OUTAGE_MS = 2000;

export class CopyKeeper implements SyncListener {
  readonly #generations: Generations;
  readonly #sync: SyncControl;
  readonly #log: ReplicaLog;
  readonly #listener: KeeperListener;
  readonly #stop = new AbortController();
  readonly #pauses = new CopyPauses();
  readonly #verifier: CopyVerifier;
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
  #noting: NodeJS.Timeout | undefined;
  #notingFails = false;
  #work: Promise<void> = Promise.resolve();

  constructor({ generations, sync, log, listener }: KeeperParts) {
    this.#generations = generations;
    this.#sync = sync;
    this.#log = log;
    this.#listener = listener;
    this.#highest = generations.state.position;
    this.#verifier = new CopyVerifier({
      signal: this.#stop.signal,
      log,
      inUse: (reads) => reads === this.#reads,
      onDamage: (reads, problem) => this.onDamage(reads, problem),
    });
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
    await this.#generations.removeAllBut([]);
    if (generation === 0) this.#copyAnew('this node has none yet');
    else await this.#start(generation);
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
    // The sync of a file that was removed may fail before it is found to be gone.
    const gone = this.#reads?.generation === this.#target ? this.#watch?.problem() : undefined;
    if (kind === 'copy' || gone !== undefined) {
      this.#copyAnew(gone ?? message);
      return;
    }
    this.#failingSinceMs ??= performance.now();
    const why = this.#generations.makeFolder() ?? this.#withRoom(message);
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
    clearTimeout(this.#noting);
    await this.#verifier.done();
    await this.#work;
    await this.#reads?.close();
    // The position of one that is not synced any more must not hide what it lacks.
    if (this.#reads?.generation === this.#target) await this.#noted(this.#target, this.#highest);
  }

  /** Serves the generation and has it brought forward; one that is there but cannot be opened now is tried again. */
  async #start(generation: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    let problem: string | undefined;
    try {
      problem = this.#openCopy(generation);
    } catch (error) {
      this.#startLater(generation, messageOf(error));
      return;
    }
    if (problem !== undefined) {
      this.#copyAnew(problem);
      return;
    }
    this.#target = generation;
    if (!(await this.#noted(generation, this.#highest))) this.#noteLater(generation);
    this.#trouble = 'it has not been synced since the start';
    this.#sync.follow(this.#generations.pathOf(generation));
    if (this.#reads !== undefined) this.#verifier.verify(this.#reads);
  }

  #startLater(generation: number, message: string): void {
    const problem = this.#withRoom(message);
    const trouble = `the one on its disk cannot be opened, and is tried again each second: ${problem}`;
    if (this.#trouble !== trouble) this.#log.warn({ generation, problem }, 'catalog: the replica cannot be opened');
    this.#trouble = trouble;
    this.#pause = setTimeout(() => this.#do(async () => await this.#start(generation)), OPEN_AGAIN_MS);
  }

  /** Has replica.json name the generation, at this position; false: it does not, and the log says why. */
  async #noted(generation: number, position: Point): Promise<boolean> {
    try {
      await this.#generations.record(generation, position);
      this.#notingFails = false;
      return true;
    } catch (error) {
      const facts = { problem: messageOf(error), generation, position: positionText(position) };
      // Once for a row of the same: a disk may be full for days.
      if (!this.#notingFails) this.#log.warn(facts, 'catalog: the position of the replica is not noted');
      this.#notingFails = true;
      return false;
    }
  }

  /** A full disk must not end the reads of a good copy: what could not be noted of it is noted once there is room. */
  #noteLater(generation: number): void {
    clearTimeout(this.#noting);
    if (!this.#stop.signal.aborted)
      this.#noting = setTimeout(() => this.#do(() => this.#noteAgain(generation)), NOTE_AGAIN_MS);
  }

  async #noteAgain(generation: number): Promise<void> {
    // One that has to be replaced must not take the place of what is kept.
    if (this.#stop.signal.aborted || this.#reads?.generation !== generation || this.#target !== generation) return;
    if (await this.#noted(generation, this.#highest)) await this.#tidy();
    else this.#noteLater(generation);
  }

  async #tidy(): Promise<void> {
    await this.#generations.removeAllBut([...this.#open, this.#target]);
  }

  #withRoom(message: string): string {
    return this.#generations.hasNoRoom() ? `its disk is full: ${message}` : message;
  }

  /** Why the generation is lost, after this error; undefined: it is not, and may be read another time. */
  #loss(generation: number, error: unknown): string | undefined {
    const missing = this.#generations.missing(generation);
    if (missing !== undefined) return missing;
    return saysDamaged(error) || failedWith(error, 'DATA_CORRUPT') ? messageOf(error) : undefined;
  }

  /**
   * Opens the generation for reads and tells what keeps the sync from bringing it forward, if anything does. Throws when it is
   * there but cannot be opened now.
   */
  #openCopy(generation: number): string | undefined {
    let reads: CopyReads;
    try {
      reads = new CopyReads(this.#generations.pathOf(generation), generation);
    } catch (error) {
      const loss = this.#loss(generation, error);
      if (loss === undefined) throw error;
      return loss;
    }
    const facts = reads.factsAtOpen;
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
    return this.#generations.missing(generation);
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
      this.#notRead(reads.generation, error);
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
      this.#do(async () => {
        await this.#noted(reads.generation, position);
      });
    }
    this.#listener.onFresh(facts, this.#syncedAtMs);
  }

  /** A copy could not be looked at after a good sync; if it is not lost, the next sync finds whether it can be. */
  #notRead(generation: number, error: unknown): void {
    const loss = this.#loss(generation, error);
    if (loss !== undefined) {
      this.#copyAnew(loss);
      return;
    }
    const problem = this.#withRoom(messageOf(error));
    const trouble = `it cannot be read: ${problem}`;
    if (this.#trouble !== trouble) this.#log.warn({ generation, problem }, 'catalog: the replica cannot be read');
    this.#trouble = trouble;
  }

  /** A new copy has been synced. */
  #filled(): void {
    let fresh: CopyReads;
    try {
      fresh = new CopyReads(this.#generations.pathOf(this.#target), this.#target);
    } catch (error) {
      this.#notRead(this.#target, error);
      return;
    }
    if (fresh.factsAtOpen.position === undefined) {
      this.#do(async () => await fresh.close());
      this.#trouble = 'the primary has no schema yet';
      this.#emptySinceMs ??= performance.now();
      if (performance.now() - this.#emptySinceMs > EMPTY_MS) this.#copyAnew('it has no schema after good syncs');
      return;
    }
    this.#checking = true;
    this.#do(async () => {
      try {
        await this.#checkAndUse(fresh);
      } catch (error) {
        this.#checking = false;
        throw error;
      }
    });
  }

  async #checkAndUse(fresh: CopyReads): Promise<void> {
    const result = await checkCopy(fresh.path, this.#stop.signal);
    const wanted = !this.#stop.signal.aborted && this.#target === fresh.generation;
    if (wanted && result.kind === 'sound') {
      await this.#useNew(fresh);
      return;
    }
    await fresh.close();
    if (!wanted || result.kind === 'sound') return;
    if (result.kind === 'damaged') this.#copyAnew(result.problem);
    else this.#checkLater(result.problem);
  }

  #checkLater(problem: string): void {
    this.#trouble = `a new copy is there, but could not be checked yet: ${problem}`;
    this.#log.warn(
      { problem, pauseMs: CHECK_AGAIN_MS },
      'catalog: the new copy could not be checked; it is tried again',
    );
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#checking = false;
      this.#filled();
    }, CHECK_AGAIN_MS);
  }

  async #useNew(fresh: CopyReads): Promise<void> {
    let facts: FileFacts;
    try {
      facts = fresh.facts();
    } catch (error) {
      await fresh.close();
      const loss = this.#loss(fresh.generation, error);
      if (loss === undefined) this.#checkLater(messageOf(error));
      else this.#copyAnew(loss);
      return;
    }
    const { position } = facts;
    if (position === undefined) {
      await fresh.close();
      this.#copyAnew('it has lost its schema');
      return;
    }
    const { generation } = fresh;
    // From here on a restart finds the new one.
    if (!(await this.#noted(generation, position))) this.#noteLater(generation);
    const old = this.#reads;
    this.#use(fresh);
    this.#checking = false;
    this.#pauses.used();
    this.#emptySinceMs = undefined;
    this.#trouble = undefined;
    this.#highest = position;
    this.#log.info({ generation, position: positionText(position) }, 'catalog: a new copy is in use');
    this.#listener.onFresh(facts, this.#syncedAtMs);
    if (old !== undefined) {
      await old.close();
      this.#open.delete(old.generation);
    }
    await this.#tidy();
  }

  /** Makes a new copy beside the one in use, at once or, when the last one was no good, after a pause. */
  #copyAnew(reason: string): void {
    if (this.#stop.signal.aborted) return;
    const condemned = this.#target;
    if (this.#reads?.generation === condemned) {
      // What a restart must not bring forward either.
      this.#do(async () => await this.#generations.condemn(condemned, reason));
      this.#pauses.spoiled();
    }
    this.#target = this.#generations.next();
    this.#checking = false;
    this.#emptySinceMs = undefined;
    this.#trouble = `it is being copied from the primary: ${reason}`;
    const pauseMs = this.#pauses.next();
    this.#log.warn({ reason, pauseMs }, 'catalog: the catalog is copied from the primary');
    // Somebody may have removed it. If it cannot be made the sync fails, and then it is said why.
    this.#generations.makeFolder();
    this.#do(async () => await this.#tidy());
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
    });
  }
}
