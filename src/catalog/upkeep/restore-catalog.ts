import { existsSync } from 'node:fs';
import { ServiceError } from '../../base/service-error.js';
import { restoredName } from '../cut-install.js';
import { readFence } from '../primary/fence-mark.js';
import { primaryFolder } from '../primary/primary-folder.js';
import { edgePlace, singleFile } from './catalog-place.js';
import { installCatalog, type Installed, knownEpochIn } from './install-catalog.js';
import { type CatalogReport, requireSound } from './verify-catalog.js';

export interface Restore {
  readonly file: string;
  /** The data folder; its node is stopped. */
  readonly dataDir: string;
  /** Whose catalog it becomes; undefined: as the folder has it. */
  readonly as: 'single' | 'primary' | undefined;
  readonly nowMs: number;
}

export interface Restored extends Installed {
  readonly as: 'single' | 'primary';
  readonly backup: CatalogReport;
}

/**
 * Makes a backup the catalog of a data folder, under an epoch that every copy takes for newer than all before. The backup is
 * checked first; the old catalog stays beside under a dated name.
 *
 * @throws ServiceError NOT_FOUND when there is no such file, DATA_CORRUPT when it is not sound, INVALID_ARGUMENT when the
 *   folder does not tell whose catalog it is to be, STATE_CONFLICT when it is an edge's or the backup a newer release's.
 */
export function restoreCatalog({ file, dataDir, as, nowMs }: Restore): Restored {
  const place = as ?? kindOf(dataDir);
  const backup = requireSound(file, 'the backup');
  return {
    as: place,
    backup,
    ...installCatalog({ from: file, dataDir, as: place, knownEpoch: knownEpochIn(dataDir), nowMs }),
  };
}

function kindOf(dataDir: string): 'single' | 'primary' {
  const { sqld } = primaryFolder(dataDir);
  // One that was cut off is run again.
  if (existsSync(restoredName(sqld))) return 'primary';
  if (existsSync(restoredName(singleFile(dataDir)))) return 'single';
  // An authority that was replaced is an edge now.
  if (existsSync(sqld) && readFence(sqld) === undefined) return 'primary';
  if (existsSync(singleFile(dataDir))) return 'single';
  if (edgePlace(dataDir) !== undefined)
    throw new ServiceError(
      'STATE_CONFLICT',
      'this is the data folder of an edge, which gets its catalog from the authority: restore there, or promote the edge',
    );
  throw new ServiceError(
    'INVALID_ARGUMENT',
    `${dataDir} holds no catalog that tells whose the backup is to be: add --as single or --as primary`,
  );
}
