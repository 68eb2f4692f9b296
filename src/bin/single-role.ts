import { join } from 'node:path';
import type { Log } from '../application/log.js';
import { openEmbeddedCatalog } from '../catalog/embedded-catalog.js';
import { checkFolderRole } from '../catalog/upkeep/folder-role.js';
import type { Config } from '../config/config.js';
import { NO_COPY, type OpenRole } from './node-role.js';

/**
 * A node on its own: its catalog is one file, which it writes itself. The catalog's process starts and migrates on another
 * core while the rest of the node is loaded.
 */
export function beginSingleRole(config: Config, log: Log): OpenRole {
  checkFolderRole(config.node.dataDir, 'single');
  const opening = openEmbeddedCatalog({ path: join(config.node.dataDir, 'catalog.db'), log });
  // Whoever opens the role awaits it; should the start fail before that, its failure is of no interest.
  opening.catch(() => undefined);
  return async (self) => {
    // Loaded after the process was started, which is what takes long.
    const [{ freshCatalog }, { freshReading }, { CatalogFreshness }, { SingleMethods }] = await Promise.all([
      import('../services/fresh-catalog.js'),
      import('../services/byte-stream-service.js'),
      import('../services/catalog-freshness.js'),
      import('../services/single-methods.js'),
    ]);
    const catalog = await opening;
    const freshness = new CatalogFreshness(catalog, null);
    return {
      catalog,
      ownsUnnamed: true,
      peers: null,
      statements: null,
      commands: null,
      cluster: new SingleMethods(async () => ({ said: self.said(), health: await self.health(catalog) })),
      services: (local) => ({
        catalog: freshCatalog(local, freshness),
        reading: freshReading(freshness),
        ...NO_COPY,
      }),
      opened: () => Promise.resolve(),
      close: () => catalog.close(),
    };
  };
}
