import type { Log } from '../application/log.js';
import { type RegisteredStore, StoreRegistry } from '../application/store-registry.js';
import { asStoreId } from '../base/brand.js';
import { UNIT_BYTES } from '../base/units.js';
import type { Config, StoreConfig } from '../config/config.js';
import { openFileStore } from '../stores/file/file-store.js';
import type { StoreMemory } from '../stores/file/store-marker.js';
import { FetchGuard } from '../stores/guard/fetch-guard.js';
import { HttpStore } from '../stores/http/http-store.js';
import { openS3Store } from '../stores/s3/s3-store.js';
import { openSwiftStore } from '../stores/swift/swift-store.js';
import { storeMemories } from './store-memory.js';
import { namingByUrl } from './store-naming.js';

/**
 * Opens the configured stores. UNAVAILABLE: the folder of a new store cannot be used. INVALID_ARGUMENT: so is a file of credentials.
 * A node starts while services are down, which are not asked yet, and while disks that it knows are not mounted.
 */
export async function openStores(config: Config, log: Log): Promise<StoreRegistry> {
  // What is added must be within the cap (application/find-location.ts); what was added stays readable when the cap is lowered.
  const rules = { ...config.import, mostBytes: Number.MAX_SAFE_INTEGER };
  const guard = new FetchGuard({ rules, log });
  const memoryOf = await storeMemories(config.node.dataDir);
  const opened: RegisteredStore[] = [];
  for (const store of config.stores) {
    const properties = new Map(Object.entries(propertiesOf(store)));
    const { weight, site } = store;
    opened.push({ ...(await openStore(store, { guard, memoryOf, log })), description: '', weight, site, properties });
  }
  const chosen = config.stores.find(({ isDefault }) => isDefault) ?? config.stores[0];
  return new StoreRegistry(opened, asStoreId(chosen?.name ?? ''));
}

interface StoreParts {
  readonly guard: FetchGuard;
  readonly memoryOf: (name: string) => StoreMemory;
  readonly log: Log;
}

async function openStore(
  config: StoreConfig,
  { guard, memoryOf, log }: StoreParts,
): Promise<Pick<RegisteredStore, 'store' | 'naming' | 'readOnly'>> {
  const id = asStoreId(config.name);
  switch (config.type) {
    case 'file': {
      const store = await openFileStore({ id, path: config.path, memory: memoryOf(config.name) });
      await store.check().catch((error: unknown) => log.error({ err: error, store: id }, 'store not available'));
      return { store };
    }
    case 'http': {
      const store = new HttpStore(id, guard);
      // Read as anybody could: owners may.
      const naming = {
        schemes: ['http', 'https'],
        by: 'owners',
        locate: (text: string) => store.locate(text),
      } as const;
      return { store, naming, readOnly: true };
    }
    case 's3': {
      const store = await openS3Store({ id, ...config });
      return { store, naming: namingByUrl(store) };
    }
    case 'swift': {
      const store = await openSwiftStore({ id, ...config });
      return { store, naming: namingByUrl(store) };
    }
  }
}

/** Images API v2 §6.13. Objects of file stores are written and read in units of 1 MiB, zero runs as holes. */
function propertiesOf(config: StoreConfig): Readonly<Record<string, string>> {
  switch (config.type) {
    case 'file':
      return { data_dir: config.path, chunk_size: String(UNIT_BYTES), thin_provisioning: 'True' };
    case 'http':
      return {};
    case 's3':
      return { endpoint: config.endpoint, bucket: config.bucket, region: config.region };
    case 'swift':
      return { container: config.container };
  }
}
