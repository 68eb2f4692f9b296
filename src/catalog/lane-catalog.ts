import type { Point } from '../domain/position.js';
import type {
  Catalog,
  CatalogReader,
  CatalogStatus,
  Effect,
  ReadOptions,
  WriteResult,
} from '../application/ports/catalog.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageQuery } from '../domain/image-query.js';
import type { Image } from '../domain/image.js';
import { FileReads } from './file-reads.js';
import type { WriteLane } from './lane/write-lane.js';
import { eventText } from './feed/event-text.js';
import { compileEffects } from './write/compile-effects.js';

/** A catalog whose file is at hand and whose writes go through one lane: a single node's, and the authority's of a cluster. */
export class LaneCatalog implements Catalog {
  readonly #lane: WriteLane;
  readonly #reads: FileReads;
  readonly #listeners = new Set<() => void>();
  #lastOpId = '';
  #closed = false;
  #refusal: ServiceError | undefined;

  /** `path`: the file that the lane writes. */
  constructor(lane: WriteLane, path: string) {
    this.#lane = lane;
    this.#reads = new FileReads(path);
  }

  // The promise is made by `async`, so that what the query throws rejects it.
  // eslint-disable-next-line @typescript-eslint/require-await
  async read<T>(query: (reader: CatalogReader) => T, options?: ReadOptions): Promise<T> {
    this.#checkReadable(options);
    return this.#reads.read(query);
  }

  async listImages(query: ImageQuery, options?: ReadOptions): Promise<readonly Image[]> {
    this.#checkReadable(options);
    return this.#reads.listImages(query);
  }

  async write(
    effects: readonly Effect[],
    options: { readonly opId: string; readonly subject: string },
  ): Promise<WriteResult> {
    this.#throwRefusal();
    const { frame, replayed } = await this.#lane.submit(compileEffects(effects), {
      ...options,
      events: eventText(effects),
    });
    // It came too late to count: whoever asks must not take it for done.
    this.#throwRefusal();
    this.#lastOpId = options.opId;
    for (const listener of this.#listeners) listener();
    return { position: { epoch: this.#lane.state().epoch, frame, opId: options.opId }, replayed };
  }

  /** A write is visible before its position is told, so there is nothing to wait for. */
  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws rejects the promise.
  async waitFor(point: Point): Promise<void> {
    this.#checkReached(point);
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  status(): CatalogStatus {
    const { ok, message, epoch, frame } = this.#lane.state();
    const position = { epoch, frame, opId: this.#lastOpId };
    if (this.#refusal !== undefined) return { ok: false, message: this.#refusal.message, position, stalenessMs: null };
    return { ok: ok && !this.#closed, message, position, stalenessMs: 0 };
  }

  /** The epoch that the file has, which may be a moment ahead of that of the status. */
  epochOnFile(): number {
    return this.#reads.epoch();
  }

  /** The number that tells the catalogs of clusters apart; of a cluster's alone. */
  catalogId(): number {
    return this.#reads.catalogId();
  }

  /** Refuses every write from now on, also those that are under way; reads go on. Resolves when nothing is written any more. */
  async endWrites(refusal: ServiceError): Promise<void> {
    this.#refusal = refusal;
    await this.#lane.close();
  }

  /** The id of the lane's process, for the tests that kill it. */
  get lanePid(): number | undefined {
    return this.#lane.pid;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#reads.close();
    await this.#lane.close();
  }

  #throwRefusal(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  #checkReadable(options?: ReadOptions): void {
    if (this.#closed) throw new ServiceError('UNAVAILABLE', 'the catalog is closed');
    if (options?.atLeast !== undefined) this.#checkReached(options.atLeast);
  }

  #checkReached(wanted: Point): void {
    const { epoch, frame } = this.#lane.state();
    if (wanted.epoch < epoch || (wanted.epoch === epoch && wanted.frame <= frame)) return;
    throw new ServiceError(
      'UNAVAILABLE',
      `expected position ${wanted.epoch}:${wanted.frame}, the catalog is at ${epoch}:${frame}`,
    );
  }
}
