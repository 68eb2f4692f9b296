import type { ImageStore } from '../application/ports/image-store.js';
import { type RegisteredStore, StoreRegistry } from '../application/store-registry.js';
import { asStoreId } from '../base/brand.js';
import { UNIT_BYTES } from '../base/units.js';
import type { Config, StoreConfig } from '../config/config.js';
import { openFileStore } from '../stores/file/file-store.js';
import { openS3Store } from '../stores/s3/s3-store.js';
import { openSwiftStore } from '../stores/swift/swift-store.js';

/**
 * Opens the configured stores. UNAVAILABLE: a store's folder cannot be used. INVALID_ARGUMENT: so is a file of credentials.
 * Services are not asked yet: a node starts while they are down.
 */
export async function openStores(config: Config): Promise<StoreRegistry> {
  const opened: RegisteredStore[] = [];
  for (const store of config.stores) {
    const properties = new Map(Object.entries(propertiesOf(store)));
    opened.push({ store: await openStore(store), description: '', weight: store.weight, site: store.site, properties });
  }
  const chosen = config.stores.find(({ isDefault }) => isDefault) ?? config.stores[0];
  return new StoreRegistry(opened, asStoreId(chosen?.name ?? ''));
}

function openStore(config: StoreConfig): Promise<ImageStore> {
  const id = asStoreId(config.name);
  switch (config.type) {
    case 'file':
      return openFileStore({ id, path: config.path });
    case 's3':
      return openS3Store({ id, ...config });
    case 'swift':
      return openSwiftStore({ id, ...config });
  }
}

/** Images API v2 §6.13. Objects of file stores are written and read in units of 1 MiB, zero runs as holes. */
function propertiesOf(config: StoreConfig): Readonly<Record<string, string>> {
  switch (config.type) {
    case 'file':
      return { data_dir: config.path, chunk_size: String(UNIT_BYTES), thin_provisioning: 'True' };
    case 's3':
      return { endpoint: config.endpoint, bucket: config.bucket, region: config.region };
    case 'swift':
      return { container: config.container };
  }
}
