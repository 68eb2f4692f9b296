import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { primaryFolder } from '../primary/primary-folder.js';
import { type CatalogPlace, singleFile } from './catalog-place.js';

/** What a data folder of this kind is for, and what may be done instead. */
const ADVICE: Readonly<Record<CatalogPlace['kind'], string>> = {
  single: 'a single node\'s: start it without --primary, or take it into a cluster by "oriel primary --adopt"',
  primary: 'the authority\'s of a cluster: start it by "oriel primary"',
  edge: 'an edge\'s: start it by "oriel serve --primary", or make it the authority by "oriel catalog promote" first',
};

/**
 * Tells whether a node may start in this role. In the folder of another role it would begin with an empty catalog, and take the images that
 * lie there for orphans. STATE_CONFLICT: it may not.
 */
export function checkFolderRole(dataDir: string, role: CatalogPlace['kind'], { adopts = false } = {}): void {
  const other = otherRole(dataDir, role, adopts);
  if (other === undefined) return;
  throw new ServiceError(
    'STATE_CONFLICT',
    `the data folder ${dataDir} is ${ADVICE[other]}; or name another folder by --data`,
  );
}

function otherRole(dataDir: string, role: CatalogPlace['kind'], adopts: boolean): CatalogPlace['kind'] | undefined {
  const has = {
    primary: existsSync(primaryFolder(dataDir).catalog),
    single: existsSync(singleFile(dataDir)),
    edge: existsSync(join(dataDir, 'replica', 'replica.json')),
  };
  switch (role) {
    case 'single':
      if (has.primary) return 'primary';
      return has.edge && !has.single ? 'edge' : undefined;
    case 'primary':
      if (has.primary) return undefined;
      if (has.edge) return 'edge';
      return has.single && !adopts ? 'single' : undefined;
    case 'edge':
      // An authority that was replaced goes on as an edge: the cluster knows its images.
      return has.single && !has.primary && !has.edge ? 'single' : undefined;
  }
}
