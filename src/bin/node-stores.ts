import { asStoreId } from '../base/brand.js';
import { type RegisteredStore, StoreRegistry } from '../application/store-registry.js';
import type { Config } from '../config/config.js';
import { openFileStore } from '../stores/file/file-store.js';

/** Opens the configured stores. UNAVAILABLE: a store's folder cannot be used. */
export async function openStores(config: Config): Promise<StoreRegistry> {
  const opened: RegisteredStore[] = [];
  for (const { name, path, weight } of config.stores)
    opened.push({ store: await openFileStore({ id: asStoreId(name), path }), description: '', weight });
  const chosen = config.stores.find(({ isDefault }) => isDefault) ?? config.stores[0];
  return new StoreRegistry(opened, asStoreId(chosen?.name ?? ''));
}
