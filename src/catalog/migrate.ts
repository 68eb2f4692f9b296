import { createHash } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';
import { type Connection, integerAt, textAt } from './connection.js';

/**
 * Brings the file to the newest schema, one transaction a migration. Only the lane calls it, before anything else.
 *
 * @throws ServiceError STATE_CONFLICT when the file was written by a newer release, or a migration that was applied
 *   is not the one of this release.
 */
export function migrate(connection: Connection, migrations: readonly string[], nowMs: number): void {
  connection.exec(
    'create table if not exists schema_migrations (version integer primary key, checksum text not null, at integer not null) strict',
  );
  const applied = connection.all('select version, checksum from schema_migrations order by version');
  if (applied.length > migrations.length) {
    throw new ServiceError(
      'STATE_CONFLICT',
      `catalog: expected schema version ${migrations.length} or older, the file has ${applied.length}: ` +
        'it was written by a newer release, run that one or restore a backup',
    );
  }
  for (const [index, sql] of migrations.entries()) {
    const version = index + 1;
    const checksum = createHash('sha256').update(sql).digest('hex');
    const row = applied[index];
    if (row === undefined) apply(connection, { version, checksum, sql, nowMs });
    else if (integerAt(row, 0) !== version || textAt(row, 1) !== checksum) {
      throw new ServiceError(
        'STATE_CONFLICT',
        `catalog: migration ${version} of the file has checksum ${textAt(row, 1)}, this release has ${checksum}`,
      );
    }
  }
}

interface Migration {
  readonly version: number;
  readonly checksum: string;
  readonly sql: string;
  readonly nowMs: number;
}

function apply(connection: Connection, migration: Migration): void {
  connection.exec('begin immediate');
  try {
    connection.exec(migration.sql);
    connection.run(
      'insert into schema_migrations (version, checksum, at) values (?, ?, ?)',
      migration.version,
      migration.checksum,
      migration.nowMs,
    );
    connection.exec('commit');
  } catch (error) {
    if (connection.inTransaction) connection.exec('rollback');
    throw error;
  }
}
