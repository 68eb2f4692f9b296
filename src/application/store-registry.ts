import type { StoreId } from '../base/brand.js';
import { asStoreId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageStore } from './ports/image-store.js';

/** A store with what the operator says of it. */
export interface RegisteredStore {
  readonly store: ImageStore;
  readonly description: string;
  /** Higher is read first. */
  readonly weight: number;
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

  weight(id: StoreId): number {
    return this.#stores.get(id)?.weight ?? 0;
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
