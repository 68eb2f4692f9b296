import { asStoreId } from '../base/brand.js';
import { UNIT_BYTES } from '../base/units.js';
import { type RegisteredStore, StoreRegistry } from '../application/store-registry.js';
import type { Config } from '../config/config.js';
import { openFileStore } from '../stores/file/file-store.js';

/** Opens the configured stores. UNAVAILABLE: a store's folder cannot be used. */
export async function openStores(config: Config): Promise<StoreRegistry> {
  const opened: RegisteredStore[] = [];
  for (const { name, path, weight } of config.stores)
    opened.push({
      store: await openFileStore({ id: asStoreId(name), path }),
      description: '',
      weight,
      // Images API v2 §6.13; objects are written and read in units of 1 MiB, zero runs as holes.
      properties: new Map([
        ['data_dir', path],
        ['chunk_size', String(UNIT_BYTES)],
        ['thin_provisioning', 'True'],
      ]),
    });
  const chosen = config.stores.find(({ isDefault }) => isDefault) ?? config.stores[0];
  return new StoreRegistry(opened, asStoreId(chosen?.name ?? ''));
}
