import { join } from 'node:path';
import { openEmbeddedCatalog } from '../catalog/index.js';
import type { Config } from '../config/config.js';
import { freshCatalog } from '../services/around-catalog.js';
import { CatalogFreshness } from '../services/catalog-freshness.js';
import { SingleMethods } from '../services/single-methods.js';
import { freshReading } from '../services/byte-stream-service.js';
import type { NodeRole, Self } from './node-role.js';

/** A node on its own: its catalog is one file, which it writes itself. */
export async function openSingleRole(config: Config, self: Self): Promise<NodeRole> {
  const catalog = await openEmbeddedCatalog({ path: join(config.node.dataDir, 'catalog.db'), log: self.log });
  const freshness = new CatalogFreshness(catalog, null);
  return {
    catalog,
    ownsUnnamed: true,
    peers: null,
    statements: null,
    commands: null,
    cluster: new SingleMethods(async () => ({ said: self.said(), health: await self.health(catalog) })),
    services: (local) => ({ catalog: freshCatalog(local, freshness), reading: freshReading(freshness) }),
    opened: () => Promise.resolve(),
    close: () => catalog.close(),
  };
}
