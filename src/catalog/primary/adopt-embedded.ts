import { existsSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { pendingMigrations, SELECT_MIGRATIONS } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { makeFile, scratchFolder } from './primary-file.js';
import { primaryFolder } from './primary-folder.js';
import { openCopy } from './stopped-file.js';

/**
 * Makes the embedded catalog in the file `from` the catalog of the primary with this data folder. Its node must be stopped.
 * The file is only read; what was in its log is part of what is adopted.
 *
 * @throws ServiceError STATE_CONFLICT when the folder has a catalog, the file is being written, or a newer release wrote it;
 *   INVALID_ARGUMENT when the file is no catalog.
 */
export function adoptEmbeddedCatalog({ from, dataDir }: { readonly from: string; readonly dataDir: string }): void {
  const { catalog } = primaryFolder(resolve(dataDir));
  if (existsSync(catalog)) {
    throw new ServiceError(
      'STATE_CONFLICT',
      'expected a data folder without a catalog, this one has one: name another folder, or start without adopting',
    );
  }
  if (!existsSync(from)) {
    throw new ServiceError('INVALID_ARGUMENT', `expected the file of an embedded catalog, there is none at ${from}`);
  }
  const scratch = scratchFolder(resolve(dataDir));
  try {
    const source = openCopy(from, join(scratch, 'copy'));
    try {
      pendingMigrations(source.all(SELECT_MIGRATIONS), MIGRATIONS);
      makeFile(source, { scratch, catalog });
    } finally {
      source.close();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
