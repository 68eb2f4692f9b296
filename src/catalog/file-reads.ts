import type { CatalogReader } from '../application/ports/catalog.js';
import type { ImageId } from '../base/brand.js';
import { asImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageQuery } from '../domain/image-query.js';
import type { Image } from '../domain/image.js';
import { EmbeddedReader } from './catalog-reader.js';
import { Connection, integerAt } from './connection.js';
import { BOUNDED_BUDGETS, findImages, type FindRequest, THOROUGH_BUDGETS } from './list/find-images.js';
import { ReaderPool } from './list/reader-pool.js';
import type { Found } from './list/search.js';

/** Searches of a slow list when images that it found change meanwhile; after the last, those are left out. */
const LIST_ATTEMPTS = 3;

/**
 * The reads of a catalog over its file, whoever writes it: the lane of a single node, `sqld`, or the sync of a replica. Each
 * read is one snapshot.
 */
export class FileReads {
  readonly #connection: Connection;
  readonly #reader: EmbeddedReader;
  readonly #pool: ReaderPool;

  /** The file must exist, with a schema this release knows. */
  constructor(path: string) {
    this.#connection = new Connection(path, 'reader');
    this.#reader = new EmbeddedReader(this.#connection);
    this.#pool = new ReaderPool(path);
  }

  /** Runs the synchronous function against one snapshot. */
  read<T>(query: (reader: CatalogReader) => T): T {
    return this.#inSnapshot(() => query(this.#reader));
  }

  /** The epoch that the file has. */
  epoch(): number {
    return this.#meta('epoch');
  }

  /** The number that tells the catalogs of clusters apart. */
  catalogId(): number {
    return this.#meta('catalog_id');
  }

  /** One page of images; see `Catalog.listImages`. */
  async listImages(query: ImageQuery): Promise<readonly Image[]> {
    const images = await this.#list(query, false);
    if (images.every((image) => hasFacts(image, query))) return images;
    // Two texts share a term: ask again by the texts themselves.
    return (await this.#list(query, true)).filter((image) => hasFacts(image, query));
  }

  async close(): Promise<void> {
    await this.#pool.close();
    this.#connection.close();
  }

  #meta(name: string): number {
    const row = this.#connection.get('select value from meta where name = ?', name);
    if (row === undefined) throw new ServiceError('DATA_CORRUPT', `catalog: the file has no ${name}`);
    return integerAt(row, 0);
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
}

function hasFacts(image: Image, query: ImageQuery): boolean {
  return (
    query.tags.every((tag) => image.tags.includes(tag)) &&
    query.properties.every(({ name, value }) => image.properties.get(name) === value)
  );
}
