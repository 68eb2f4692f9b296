import type { ObjectKey, StoreId } from '../base/brand.js';
import { asStoreId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageStore } from './ports/image-store.js';

/** How objects of a store are named as locations by URL. */
export interface LocationNaming {
  /** The scheme of such URLs, lower case. */
  readonly scheme: string;
  /**
   * Who may. `services`: the store is read with the service's own rights, so only services and administrators say what is read.
   * `owners`: it is read as anybody could read it, so owners of images may, too.
   */
  readonly by: 'services' | 'owners';
  /** The key of the object; undefined: none of this store. */
  locate(url: URL): ObjectKey | undefined;
}

/** A store with what the operator says of it. */
export interface RegisteredStore {
  readonly store: ImageStore;
  readonly description: string;
  /** Higher is read first. */
  readonly weight: number;
  /** Where it stands; absent: where the node does. */
  readonly site?: string;
  /** What the kind of store has besides, for administrators. */
  readonly properties: ReadonlyMap<string, string>;
  /** Absent: nobody names objects of this store by URL, as the paths of file stores (OSSA-2014-041). */
  readonly naming?: LocationNaming;
}

/** The stores of this node, by name; one of them is the default. */
export class StoreRegistry {
  readonly #stores: ReadonlyMap<StoreId, RegisteredStore>;
  readonly #default: RegisteredStore;

  constructor(stores: readonly RegisteredStore[], defaultId: StoreId) {
    this.#stores = new Map(stores.map((entry) => [entry.store.id, entry]));
    const chosen = this.#stores.get(defaultId);
    assert(chosen !== undefined, `default store ${defaultId} is configured`);
    this.#default = chosen;
  }

  get all(): readonly RegisteredStore[] {
    return [...this.#stores.values()];
  }

  get defaultId(): StoreId {
    return this.#default.store.id;
  }

  get(id: StoreId): ImageStore | undefined {
    return this.#stores.get(id)?.store;
  }

  /** The object that the URL names in a store whose objects may be named so. */
  locate(
    url: URL,
  ): { readonly store: ImageStore; readonly key: ObjectKey; readonly by: LocationNaming['by'] } | undefined {
    for (const { store, naming } of this.#stores.values()) {
      const key = naming !== undefined && `${naming.scheme}:` === url.protocol ? naming.locate(url) : undefined;
      if (naming !== undefined && key !== undefined) return { store, key, by: naming.by };
    }
    return undefined;
  }

  weight(id: StoreId): number {
    return this.#stores.get(id)?.weight ?? 0;
  }

  /** Where the store stands; undefined: where the node does. */
  site(id: StoreId): string | undefined {
    return this.#stores.get(id)?.site;
  }

  /** Tells whether the objects of a store of that name lie in one place for all nodes: a service's, not a disk of one of them. */
  isShared(id: StoreId): boolean {
    const type = this.get(id)?.type;
    return type !== undefined && type !== 'file';
  }

  /** The store that a request names, or the default one for ''. INVALID_ARGUMENT: there is no such store. */
  named(name: string): ImageStore {
    if (name === '') return this.#default.store;
    const store = this.get(asStoreId(name));
    if (store === undefined)
      throw new ServiceError(
        'INVALID_ARGUMENT',
        `store must be one of ${[...this.#stores.keys()].join(', ')}, got ${JSON.stringify(name.slice(0, 64))}`,
      );
    return store;
  }
}
