import type { ObjectKey, StoreId } from '../base/brand.js';
import { asStoreId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageStore } from './ports/image-store.js';

/** How objects of a store are named as locations by URL. */
export interface LocationNaming {
  /** The schemes of such URLs, lower case. */
  readonly schemes: readonly string[];
  /**
   * Who may. `services`: the store is read with the service's own rights, so only services and administrators say what is read.
   * `owners`: it is read as anybody could read it, so owners of images may, too.
   */
  readonly by: 'services' | 'owners';
  /**
   * The key of the object that a URL of such a scheme names, by its text, before a parser has changed it; undefined: none of this
   * store. INVALID_ARGUMENT: what is wrong with the URL. Asks the store for nothing.
   */
  locate(text: string): ObjectKey | undefined;
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
  /** Nothing can be stored there. */
  readonly readOnly?: true;
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

  /** The object that the URL names in a store whose objects may be named so. INVALID_ARGUMENT: see LocationNaming. */
  locate(
    text: string,
  ): { readonly store: ImageStore; readonly key: ObjectKey; readonly by: LocationNaming['by'] } | undefined {
    const scheme = text.slice(0, Math.max(text.indexOf(':'), 0)).toLowerCase();
    for (const { store, naming } of this.#stores.values()) {
      const key = naming?.schemes.includes(scheme) === true ? naming.locate(text) : undefined;
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

  /** The store that a request wants data stored in; '': the default one. INVALID_ARGUMENT: there is none such, or it is read-only. */
  named(name: string): ImageStore {
    if (name === '') return this.#default.store;
    const entry = this.#stores.get(asStoreId(name));
    if (entry !== undefined && entry.readOnly !== true) return entry.store;
    const wanted = this.all.filter(({ readOnly }) => readOnly !== true).map(({ store }) => store.id);
    const why = entry === undefined ? '' : ', which is read-only';
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `store must be one of ${wanted.join(', ')}, got ${JSON.stringify(name.slice(0, 64))}${why}`,
    );
  }
}
