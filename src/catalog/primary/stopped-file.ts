import { chmodSync, constants, copyFileSync, existsSync, statSync } from 'node:fs';
import { ServiceError } from '../../base/service-error.js';
import { Connection } from '../connection.js';

/**
 * Opens a copy, made at `copy`, of the catalog in the file `from`, which nobody writes and which stays as it is.
 *
 * @throws ServiceError INVALID_ARGUMENT when it is no catalog, STATE_CONFLICT when it was written meanwhile.
 */
export function openCopy(from: string, copy: string): Connection {
  const path = copyUnchanged(from, copy);
  try {
    const connection = new Connection(path, 'writer');
    connection.get('select count(*) from schema_migrations');
    return connection;
  } catch (cause) {
    throw new ServiceError('INVALID_ARGUMENT', 'expected the file of a catalog, this is none', { cause });
  }
}

/** Copies the file with its log: opening it, even to read, would move the log's content into it. */
function copyUnchanged(from: string, to: string): string {
  const before = fingerprint(from);
  for (const part of ['', '-wal']) {
    if (!existsSync(from + part)) continue;
    copyFileSync(from + part, to + part, constants.COPYFILE_FICLONE);
    // A backup may be kept read-only; its copy is written.
    chmodSync(to + part, 0o600);
  }
  if (fingerprint(from) === before) return to;
  throw new ServiceError('STATE_CONFLICT', 'the catalog was written meanwhile: stop its node, then retry');
}

function fingerprint(path: string): string {
  return [path, `${path}-wal`]
    .map((file) => statSync(file, { throwIfNoEntry: false }))
    .map((stat) => `${stat?.size ?? ''} ${stat?.mtimeMs ?? ''}`)
    .join(', ');
}
