import type { Point } from '../../domain/position.js';
import type {
  Catalog,
  CatalogReader,
  CatalogStatus,
  Position,
  ReadOptions,
  WriteResult,
} from '../../application/ports/catalog.js';
import { failedWith, ServiceError } from '../../base/service-error.js';
import type { ImageQuery } from '../../domain/image-query.js';
import type { Image } from '../../domain/image.js';
import { MIGRATIONS } from '../migrations/index.js';
import { CopyKeeper } from './copy-keeper.js';
import type { CopyReads } from './copy-reads.js';
import { isReached } from '../../domain/position.js';
import { type FileFacts, positionText } from './file-facts.js';
import { Generations } from './generations.js';
import { LastNews } from './last-news.js';
import { Paced } from './paced.js';
import { PositionWaiters } from './position-waiters.js';
import type { ReplicaLog } from './replica-log.js';
import { messageOf, saysDamaged } from './sync-failure.js';
import type { FailedSync, ReplicaSource } from './sync-source.js';
import { SyncSupervisor } from './sync-supervisor.js';

export interface ReplicaCatalogOptions {
  /** The replica's own folder; made when absent. */
  readonly directory: string;
  /**
   * Tells where to sync from. Asked before each start of the sync process and when syncs fail; may reject, and is asked again
   * then, but must settle. Answer with the same token as long as it is good: another one costs a new process.
   */
  readonly source: () => Promise<ReplicaSource>;
  /** Pause between two syncs that nobody asked for; a second unless told. */
  readonly syncIntervalMs?: number;
  /** A sync process that is silent for so long is replaced; 10 s unless told. */
  readonly answerTimeoutMs?: number;
  /** How long reads wait for `atLeast`; 5 s unless told. */
  readonly waitTimeoutMs?: number;
  readonly log: ReplicaLog;
  /**
   * The primary can be connected to but did not greet the sync: the token may be expired or refused, or the primary has just
   * died or hangs, which looks the same. Whoever gives out tokens decides, and calls `renewSource` if there is a new one.
   */
  readonly onTokenRefused?: () => void;
}

const SYNC_INTERVAL_MS = 1000;
const ANSWER_TIMEOUT_MS = 10_000;
const WAIT_TIMEOUT_MS = 5000;
/** A sync that takes long brings group by group: this often it is looked whether a position that is waited for is there. */
const LOOK_EVERY_MS = 25;
/** The first sync brings a position that was written before it began; should the primary tell of it late, a second does. */
const WAKE_AGAIN_MS = 50;

/**
 * Opens a node's replica of the cluster's catalog. Resolves at once, with the primary down and with no copy yet as well;
 * reads are refused until there is one.
 */
export async function openReplicaCatalog(options: ReplicaCatalogOptions): Promise<ReplicaCatalog> {
  const generations = await Generations.open(options.directory, options.log);
  const news = await LastNews.open(generations.newsPath, options.log);
  const catalog = new ReplicaCatalog({ generations, news }, options);
  await catalog.open();
  return catalog;
}

/** A sync costs a call of the primary, two flushes here and a look at the file, whatever it brings. */
const TOLD_LIMIT = { most: 4, spanMs: 200 };

/** The catalog of a node that holds a replica: reads of its own file, in the order of the cluster's history. */
export class ReplicaCatalog implements Catalog {
  readonly #waitTimeoutMs: number;
  readonly #onTokenRefused: (() => void) | undefined;
  readonly #log: ReplicaLog;
  readonly #generations: Generations;
  readonly #keeper: CopyKeeper;
  readonly #sync: SyncSupervisor;
  readonly #told: Paced;
  readonly #news: LastNews;
  readonly #waiters = new PositionWaiters();
  readonly #listeners = new Set<(position: Position) => void>();
  #facts: FileFacts | undefined;
  #looking: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(kept: { readonly generations: Generations; readonly news: LastNews }, options: ReplicaCatalogOptions) {
    const { generations, news } = kept;
    this.#news = news;
    const { source, log, syncIntervalMs = SYNC_INTERVAL_MS, answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
    this.#waitTimeoutMs = options.waitTimeoutMs ?? WAIT_TIMEOUT_MS;
    this.#onTokenRefused = options.onTokenRefused;
    this.#log = log;
    this.#generations = generations;
    const { lockPath } = generations;
    this.#sync = new SyncSupervisor(
      { source, lockPath, syncIntervalMs, answerTimeoutMs, log },
      { onSynced: () => this.#keeper.onSynced(), onFailed: (failure) => this.#onFailed(failure) },
    );
    const listener = { onFresh: (facts: FileFacts, syncedAtMs?: number) => this.#onFresh(facts, syncedAtMs) };
    this.#told = new Paced(() => this.#sync.wake(), TOLD_LIMIT);
    this.#keeper = new CopyKeeper({ generations, sync: this.#sync, log, listener });
  }

  async open(): Promise<void> {
    await this.#keeper.open();
  }

  async read<T>(query: (reader: CatalogReader) => T, options?: ReadOptions): Promise<T> {
    const reads = await this.#reads(options);
    try {
      return reads.read(query);
    } catch (error) {
      throw this.#readError(reads, error);
    }
  }

  async listImages(query: ImageQuery, options?: ReadOptions): Promise<readonly Image[]> {
    const reads = await this.#reads(options);
    try {
      return await reads.listImages(query);
    } catch (error) {
      throw this.#readError(reads, error);
    }
  }

  /** A node with a replica forwards whole commands to the authority (services/), so a write that comes here is a bug. */
  write(): Promise<WriteResult> {
    const message = 'a write reached a replica of the catalog: expected the command to be forwarded to the authority';
    return Promise.reject(new ServiceError('INTERNAL', message));
  }

  /**
   * Waits until reads see the position, and has a sync made at once for it. One that cannot come costs two syncs, however
   * long it is waited for.
   *
   * @throws ServiceError UNAVAILABLE when it is not there after the time.
   */
  async waitFor(position: Point, timeoutMs = this.#waitTimeoutMs): Promise<void> {
    if (this.#closed !== undefined) throw closedError();
    if (this.#reached(position)) return;
    const waiting = this.#waiters.wait(position, timeoutMs, () => this.#lateError(position));
    this.#sync.wake();
    const again = setTimeout(() => this.#sync.wake(), WAKE_AGAIN_MS);
    this.#looking ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
    try {
      await waiting;
    } finally {
      clearTimeout(again);
    }
  }

  /** `ok`: reads are answered. The message tells of trouble with the sync also while they are; see `stalenessMs`. */
  status(): CatalogStatus {
    const refusal = this.#refusal();
    const trouble = this.#keeper.trouble;
    const message =
      refusal?.message ?? (trouble === undefined ? 'ok' : `the copy of the catalog may be old: ${trouble}`);
    const position = positionOf(this.#facts?.position);
    return { ok: refusal === undefined, message, position, stalenessMs: this.stalenessMs() };
  }

  /** The latest epoch that this node's copies have had, over restarts. */
  seenEpoch(): number {
    return Math.max(this.#facts?.position?.epoch ?? 0, this.#generations.state.position.epoch);
  }

  /** Which catalog the copy in use is of; 0: not known. */
  catalogId(): number {
    return this.#facts?.catalogId ?? 0;
  }

  /** Why no news of the catalog have come for a while, when syncs fail; undefined: they come, or may in a moment. */
  get outage(): string | undefined {
    return this.#keeper.outage;
  }

  /** Milliseconds since the end of the last sync that the reads show, over restarts too; null when it is not known. */
  stalenessMs(): number | null {
    return this.#news.ageMs();
  }

  /** Says that there is news: a sync is made at once, or soon when there is much. Who waits for a position has one made anyway. */
  wake(): void {
    if (this.#closed === undefined) this.#told.call();
  }

  /** Has the source asked again; when it answers otherwise, the sync is started anew with that. */
  async renewSource(): Promise<void> {
    if (this.#closed === undefined) await this.#sync.renew();
  }

  /** Calls the listener when reads have come to another position; returns what ends that. */
  onAdvance(listener: (position: Position) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The id of the sync process while there is one, for the tests that kill it. */
  get syncPid(): number | undefined {
    return this.#sync.pid;
  }

  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#looking);
    this.#waiters.failAll(closedError());
    this.#told.cancel();
    await this.#sync.close();
    await this.#keeper.close();
    await this.#news.close();
  }

  async #reads(options?: ReadOptions): Promise<CopyReads> {
    // Again, should another copy have been swapped in between.
    while (options?.atLeast !== undefined && !this.#reached(options.atLeast)) await this.waitFor(options.atLeast);
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const reads = this.#keeper.reads;
    if (reads === undefined) throw this.#noCopyError();
    return reads;
  }

  /** Why reads are refused now. */
  #refusal(): ServiceError | undefined {
    if (this.#closed !== undefined) return closedError();
    if (this.#keeper.reads === undefined || this.#facts === undefined) return this.#noCopyError();
    const { schemaVersion, readableFrom } = this.#facts;
    if (readableFrom <= MIGRATIONS.length) return undefined;
    return new ServiceError(
      'UNAVAILABLE',
      `catalog: this node knows schema version ${MIGRATIONS.length}, the cluster has ${schemaVersion}, which takes version ` +
        `${readableFrom} or newer to read: upgrade this node`,
    );
  }

  #noCopyError(): ServiceError {
    const trouble = this.#keeper.trouble ?? 'it is being made';
    return new ServiceError('UNAVAILABLE', `this node has no copy of the catalog to read yet: ${trouble}`);
  }

  #reached(wanted: Point): boolean {
    const there = this.#facts?.position;
    return there !== undefined && isReached(there, wanted);
  }

  #lateError(wanted: Point): ServiceError {
    const [expected, found] = [positionText(wanted), positionText(this.#facts?.position)];
    const staleness = this.stalenessMs();
    const age = staleness === null ? 'is of an unknown age' : `is ${Math.round(staleness)} ms old`;
    const trouble = this.#keeper.trouble;
    return new ServiceError(
      'UNAVAILABLE',
      `expected position ${expected}, this node's copy of the catalog is at ${found} and ${age}` +
        `${trouble === undefined ? '' : ` (${trouble})`}: retry later, or at another node`,
      { details: { expected, found } },
    );
  }

  #readError(reads: CopyReads, error: unknown): unknown {
    if (error instanceof ServiceError) {
      if (failedWith(error, 'DATA_CORRUPT')) this.#keeper.onSuspicion(reads);
      return error;
    }
    if (saysDamaged(error)) {
      this.#keeper.onDamage(reads, messageOf(error));
      const message = "this node's copy of the catalog is damaged and is being made again: retry in a moment";
      return new ServiceError('UNAVAILABLE', message, { cause: error });
    }
    const version = this.#facts?.schemaVersion ?? 0;
    if (version < MIGRATIONS.length && error instanceof Error && /no such (table|column)/.test(error.message)) {
      const message = `catalog: the cluster has schema version ${version}, this needs ${MIGRATIONS.length}: upgrade the primary`;
      return new ServiceError('UNAVAILABLE', message, { cause: error });
    }
    return error;
  }

  #look(): void {
    if (this.#waiters.size === 0) {
      clearInterval(this.#looking);
      this.#looking = undefined;
      return;
    }
    this.#keeper.look();
  }

  #onFresh(facts: FileFacts, syncedAtMs: number | undefined): void {
    const before = this.#facts?.position;
    this.#facts = facts;
    if (syncedAtMs !== undefined) this.#news.came(syncedAtMs);
    const { position } = facts;
    if (position === undefined) return;
    this.#waiters.settle(position);
    if (before?.epoch === position.epoch && before.frame === position.frame) return;
    for (const listener of this.#listeners) {
      try {
        listener(positionOf(position));
      } catch (error) {
        this.#log.error({ problem: messageOf(error) }, 'catalog: a listener for advances failed');
      }
    }
  }

  #onFailed(failure: FailedSync): void {
    this.#keeper.onFailed(failure);
    // What was demanded was not done; the supervisor pauses between failures.
    if (this.#waiters.size > 0) this.#sync.wake();
    if (failure.kind === 'token') this.#onTokenRefused?.();
  }
}

/** The last operation's id is not known here; a position is compared by its epoch and frame. */
function positionOf(position: Point | undefined): Position {
  return { epoch: position?.epoch ?? 0, frame: position?.frame ?? 0, opId: '' };
}

function closedError(): ServiceError {
  return new ServiceError('UNAVAILABLE', 'the catalog is closed');
}
