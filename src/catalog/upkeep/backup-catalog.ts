import { existsSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { Connection } from '../connection.js';
import type { CatalogPlace } from './catalog-place.js';
import { type CatalogReport, requireSound } from './verify-catalog.js';
import { flush, publish, taken } from '../whole-file.js';

/**
 * Copies the catalog into one file, as it is at one moment; its node may go on writing. The copy is looked at from the pages
 * up before it gets its name, which it gets whole or not at all.
 *
 * @throws ServiceError ALREADY_EXISTS when there is such a file and `force` is not said; STATE_CONFLICT when the folder is an
 *   edge's; NOT_FOUND when the file's folder is not there; DATA_CORRUPT when the copy is not sound, as a rule because the catalog is not.
 */
export function backUpCatalog(
  place: CatalogPlace,
  to: { readonly file: string; readonly force: boolean },
): CatalogReport {
  if (place.kind === 'edge')
    throw new ServiceError(
      'STATE_CONFLICT',
      'this is the data folder of an edge, whose copy may lag behind: back up at the authority',
    );
  if (!to.force && existsSync(to.file)) throw taken(to.file);
  const folder = dirname(to.file);
  if (!existsSync(folder))
    throw new ServiceError('NOT_FOUND', `there is no folder ${folder}: make it, or name another file`);
  const made = `${to.file}.${process.pid}.new`;
  rmSync(made, { force: true });
  try {
    const source = new Connection(place.file, 'reader');
    try {
      // Nothing of the source is changed; but SQLite counts the new file as one of the connection's.
      source.exec('pragma query_only = 0');
      source.run('vacuum into ?', made);
    } finally {
      source.close();
    }
    flush(made);
    const report = requireSound(made, 'the backup');
    publish(made, to.file, to.force);
    return report;
  } finally {
    for (const part of ['', '-wal', '-shm']) rmSync(made + part, { force: true });
  }
}
