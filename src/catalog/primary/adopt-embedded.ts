import { constants, copyFileSync, existsSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { Connection } from '../connection.js';
import { pendingMigrations, SELECT_MIGRATIONS } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { makeFile, scratchFolder } from './primary-file.js';
import { primaryFolder } from './primary-folder.js';

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
    const source = openCatalog(copyUnchanged(from, join(scratch, 'copy')));
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

/** Copies the file with its log: opening it, even to read, would move the log's content into it. */
function copyUnchanged(from: string, to: string): string {
  const before = fingerprint(from);
  for (const part of ['', '-wal']) {
    if (existsSync(from + part)) copyFileSync(from + part, to + part, constants.COPYFILE_FICLONE);
  }
  if (fingerprint(from) === before) return to;
  throw new ServiceError('STATE_CONFLICT', 'the catalog to adopt was written meanwhile: stop its node, then retry');
}

function fingerprint(path: string): string {
  return [path, `${path}-wal`]
    .map((file) => statSync(file, { throwIfNoEntry: false }))
    .map((stat) => `${stat?.size ?? ''} ${stat?.mtimeMs ?? ''}`)
    .join(', ');
}

function openCatalog(path: string): Connection {
  try {
    const connection = new Connection(path, 'writer');
    connection.get('select count(*) from schema_migrations');
    return connection;
  } catch (cause) {
    throw new ServiceError('INVALID_ARGUMENT', 'expected the file of an embedded catalog, this is none', { cause });
  }
}
