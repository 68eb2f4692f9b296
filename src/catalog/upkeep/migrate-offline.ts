import { Connection } from '../connection.js';
import { migrate, pendingMigrations, SELECT_MIGRATIONS } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { openPrimaryCatalog } from '../primary/open-primary-catalog.js';
import type { CatalogPlace } from './catalog-place.js';

/** Which migrations a file has had, and which it lacks. */
export interface MigrationReport {
  readonly applied: number;
  readonly pending: readonly number[];
}

/** Tells what is pending; the node may run. STATE_CONFLICT: a newer release wrote the file. */
export function migrationsOf(place: CatalogPlace): MigrationReport {
  const connection = new Connection(place.file, 'reader');
  try {
    const rows = connection.all(SELECT_MIGRATIONS);
    return { applied: rows.length, pending: pendingMigrations(rows, MIGRATIONS).map(({ version }) => version) };
  } finally {
    connection.close();
  }
}

/**
 * Applies what is pending, of a stopped node. A primary's catalog is written by its `sqld` alone, which is started for it:
 * replicas learn of changes from its log.
 */
export async function migrateOffline(place: CatalogPlace, dataDir: string): Promise<void> {
  if (place.kind === 'primary') {
    await (await openPrimaryCatalog({ dataDir, sqldPort: 0 })).close();
    return;
  }
  const connection = new Connection(place.file, 'writer');
  try {
    migrate(connection, MIGRATIONS, Date.now());
  } finally {
    connection.close();
  }
}
