import { createHash } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';
import { type Connection, integerAt, type Row, type SqlValue, textAt } from './connection.js';

/** The table that says which migrations a file has had; the same whoever migrates it, so that files can change owners. */
export const MIGRATIONS_TABLE =
  'create table if not exists schema_migrations (version integer primary key, checksum text not null, at integer not null) strict';
/** Rows for `pendingMigrations`. */
export const SELECT_MIGRATIONS = 'select version, checksum from schema_migrations order by version';
/** Values: `recordOf` a migration. */
export const INSERT_MIGRATION = 'insert into schema_migrations (version, checksum, at) values (?, ?, ?)';

export interface Migration {
  readonly version: number;
  readonly checksum: string;
  readonly sql: string;
}

/**
 * Brings the file to the newest schema, one transaction a migration. Only the lane calls it, before anything else.
 *
 * @throws ServiceError STATE_CONFLICT when the file was written by a newer release, or a migration that was applied
 *   is not the one of this release.
 */
export function migrate(connection: Connection, migrations: readonly string[], nowMs: number): void {
  connection.exec(MIGRATIONS_TABLE);
  for (const migration of pendingMigrations(connection.all(SELECT_MIGRATIONS), migrations)) {
    apply(connection, migration, nowMs);
  }
}

/** The migrations that a file with these rows still needs. @throws ServiceError STATE_CONFLICT, as `migrate`. */
export function pendingMigrations(applied: readonly Row[], migrations: readonly string[]): readonly Migration[] {
  if (applied.length > migrations.length) {
    throw new ServiceError(
      'STATE_CONFLICT',
      `catalog: expected schema version ${migrations.length} or older, the file has ${applied.length}: ` +
        'it was written by a newer release, run that one or restore a backup',
    );
  }
  return migrations.flatMap((sql, index): Migration[] => {
    const version = index + 1;
    const checksum = createHash('sha256').update(sql).digest('hex');
    const row = applied[index];
    if (row === undefined) return [{ version, checksum, sql }];
    if (integerAt(row, 0) === version && textAt(row, 1) === checksum) return [];
    throw new ServiceError(
      'STATE_CONFLICT',
      `catalog: migration ${version} of the file has checksum ${textAt(row, 1)}, this release has ${checksum}`,
    );
  });
}

/** What is kept of a migration that was applied. */
export function recordOf(migration: Migration, nowMs: number): SqlValue[] {
  return [migration.version, migration.checksum, nowMs];
}

function apply(connection: Connection, migration: Migration, nowMs: number): void {
  connection.exec('begin immediate');
  try {
    connection.exec(migration.sql);
    connection.run(INSERT_MIGRATION, ...recordOf(migration, nowMs));
    connection.exec('commit');
  } catch (error) {
    if (connection.inTransaction) connection.exec('rollback');
    throw error;
  }
}
