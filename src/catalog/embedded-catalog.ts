import type {
  Catalog,
  CatalogReader,
  CatalogStatus,
  Effect,
  Position,
  ReadOptions,
  WriteResult,
} from '../application/ports/catalog.js';
import type { ImageId } from '../base/brand.js';
import { asImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageQuery } from '../domain/image-query.js';
import type { Image } from '../domain/image.js';
import { EmbeddedReader } from './catalog-reader.js';
import { Connection } from './connection.js';
import { type LaneLog, WriteLane } from './lane/write-lane.js';
import { BOUNDED_BUDGETS, findImages, type FindRequest, THOROUGH_BUDGETS } from './list/find-images.js';
import { ReaderPool } from './list/reader-pool.js';
import type { Found } from './list/search.js';
import { compileEffects } from './write/compile-effects.js';

export interface EmbeddedCatalogOptions {
  /** The catalog's file; made when absent. */
  readonly path: string;
  readonly log?: LaneLog;
  /** How long operations are remembered; a day unless told. */
  readonly operationRetentionMs?: number;
  /** How often old operations are removed; a minute unless told. */
  readonly pruneEveryMs?: number;
}

/** Searches of a slow list when images that it found change meanwhile; after the last, those are left out. */
const LIST_ATTEMPTS = 3;

const DAY_MS = 24 * 60 * 60 * 1000;
const SILENT: LaneLog = { warn: () => undefined };

/**
 * Opens the catalog in one libSQL file, for one node.
 *
 * @throws ServiceError UNAVAILABLE when the file cannot be opened, STATE_CONFLICT when a newer release wrote it.
 */
export async function openEmbeddedCatalog(options: EmbeddedCatalogOptions): Promise<EmbeddedCatalog> {
  const lane = new WriteLane(
    {
      path: options.path,
      retentionMs: options.operationRetentionMs ?? DAY_MS,
      pruneEveryMs: options.pruneEveryMs ?? 60_000,
    },
    options.log ?? SILENT,
  );
  await lane.open();
  return new EmbeddedCatalog(lane, options.path);
}

export class EmbeddedCatalog implements Catalog {
  readonly #lane: WriteLane;
  readonly #connection: Connection;
  readonly #reader: EmbeddedReader;
  readonly #pool: ReaderPool;
  #lastOpId = '';
  #closed = false;

  constructor(lane: WriteLane, path: string) {
    this.#lane = lane;
    this.#connection = new Connection(path, 'reader');
    this.#reader = new EmbeddedReader(this.#connection);
    this.#pool = new ReaderPool(path);
  }

  // The promise is made by `async`, so that what the query throws rejects it.
  // eslint-disable-next-line @typescript-eslint/require-await
  async read<T>(query: (reader: CatalogReader) => T, options?: ReadOptions): Promise<T> {
    this.#checkReadable(options);
    return this.#inSnapshot(() => query(this.#reader));
  }

  async listImages(query: ImageQuery, options?: ReadOptions): Promise<readonly Image[]> {
    this.#checkReadable(options);
    const images = await this.#list(query, false);
    if (images.every((image) => hasFacts(image, query))) return images;
    // Two texts share a term: ask again by the texts themselves.
    return (await this.#list(query, true)).filter((image) => hasFacts(image, query));
  }

  async write(
    effects: readonly Effect[],
    options: { readonly opId: string; readonly subject: string },
  ): Promise<WriteResult> {
    const { frame, replayed } = await this.#lane.submit(compileEffects(effects), options);
    this.#lastOpId = options.opId;
    return { position: { epoch: this.#lane.state().epoch, frame, opId: options.opId }, replayed };
  }

  status(): CatalogStatus {
    const { ok, message, epoch, frame } = this.#lane.state();
    return { ok: ok && !this.#closed, message, position: { epoch, frame, opId: this.#lastOpId } };
  }

  /** The id of the lane's process, for the tests that kill it. */
  get lanePid(): number | undefined {
    return this.#lane.pid;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool.close();
    this.#connection.close();
    await this.#lane.close();
  }

  async #list(query: ImageQuery, exact: boolean): Promise<readonly Image[]> {
    const near = this.#inSnapshot(() => {
      const marker = query.after === null ? null : this.#marker(query.after);
      const request: FindRequest = { query, marker, exact, budgets: BOUNDED_BUDGETS };
      const found = findImages(this.#connection, request);
      return { request, images: found === undefined ? undefined : this.#load(found) };
    });
    if (near.images !== undefined) return near.images;
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#pool.find({ ...near.request, budgets: THOROUGH_BUDGETS });
      const versions = new Map(found.map(({ id, version }) => [id, version]));
      const images = this.#inSnapshot(() => this.#load(found));
      // An image that changed since the thread's snapshot may match no more, or be nothing for this caller any longer.
      const unchanged = images.filter(({ id, version }) => versions.get(id) === version);
      if (unchanged.length === found.length || attempt === LIST_ATTEMPTS) return unchanged;
    }
  }

  #marker(id: ImageId): Image {
    const marker = this.#reader.image(id);
    if (marker === undefined || marker.status === 'deleted') {
      throw new ServiceError('INVALID_ARGUMENT', `marker ${id} not found: expected the id of an image`);
    }
    return marker;
  }

  #load(found: readonly Found[]): readonly Image[] {
    return found.flatMap(({ id, version }) => {
      const imageId = asImageId(id);
      const image = imageId === undefined ? undefined : this.#reader.imageAt(imageId, version);
      return image === undefined ? [] : [image];
    });
  }

  #inSnapshot<T>(query: () => T): T {
    this.#connection.run('begin');
    try {
      return query();
    } finally {
      this.#connection.run('commit');
    }
  }

  #checkReadable(options?: ReadOptions): void {
    if (this.#closed) throw new ServiceError('UNAVAILABLE', 'the catalog is closed');
    if (options?.atLeast !== undefined) this.#checkReached(options.atLeast);
  }

  /** A write is visible before its position is told, so waiting would not help. */
  #checkReached(wanted: Position): void {
    const { epoch, frame } = this.#lane.state();
    if (wanted.epoch < epoch || (wanted.epoch === epoch && wanted.frame <= frame)) return;
    throw new ServiceError(
      'UNAVAILABLE',
      `expected position ${wanted.epoch}:${wanted.frame}, the catalog is at ${epoch}:${frame}`,
    );
  }
}

function hasFacts(image: Image, query: ImageQuery): boolean {
  return (
    query.tags.every((tag) => image.tags.includes(tag)) &&
    query.properties.every(({ name, value }) => image.properties.get(name) === value)
  );
}
