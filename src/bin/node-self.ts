import type { Log } from '../application/log.js';
import { positionText } from '../domain/position.js';
import type { Catalog } from '../application/ports/catalog.js';
import type { Capacity, ImageStore } from '../application/ports/image-store.js';
import type { RunningUploads } from '../application/running-uploads.js';
import type { StoreRegistry } from '../application/store-registry.js';
import type { Config } from '../config/config.js';
import { nodeKeyOf } from '../identity/node-key.js';
import { nodeIdOf } from './node-identity.js';
import type { Self } from './node-role.js';
import { packageVersion } from './package-version.js';

/** Where other nodes reach this one. */
export interface Addresses {
  readonly httpUrl: string;
  readonly grpcAddress: string;
}

/** What this node says of itself; `open` sets its addresses once they are known. */
export function selfOf(
  config: Config,
  parts: { readonly stores: StoreRegistry; readonly uploads: RunningUploads; readonly log: Log },
): { readonly self: Self; readonly open: (addresses: Addresses) => void } {
  const { stores, uploads, log } = parts;
  const nodeId = nodeIdOf(config.node.dataDir);
  const fixed = { id: nodeId, site: config.node.site, version: packageVersion() };
  const role = config.catalog.primary === null ? 'authority' : 'edge';
  let addresses: Addresses = { httpUrl: '', grpcAddress: '' };
  const said: Self['said'] = () => ({
    ...{ ...fixed, role, ...addresses },
    stores: stores.all.map(({ store }) => store.id),
  });
  const health = async (catalog: Catalog) => {
    const { position, stalenessMs } = catalog.status();
    const capacities = await Promise.all(stores.all.map(({ store }) => capacityOf(store)));
    return {
      position: positionText(position),
      stalenessMs: stalenessMs ?? 0,
      freeBytes: capacities.reduce((sum, known) => sum + (known?.freeBytes ?? 0), 0),
      totalBytes: capacities.reduce((sum, known) => sum + (known?.totalBytes ?? 0), 0),
      uploads: uploads.count,
    };
  };
  return {
    self: { nodeId, key: () => nodeKeyOf(config.node.dataDir), log, said, health },
    open: (known) => (addresses = known),
  };
}

// The figures are of the node's disks. A shared store is not the node's. What does not answer, as a disk that is not mounted, must
// not keep the node from announcing itself.
function capacityOf(store: ImageStore): Promise<Capacity | undefined> {
  return store.type === 'file' ? store.capacity().catch(() => undefined) : Promise.resolve(undefined);
}
