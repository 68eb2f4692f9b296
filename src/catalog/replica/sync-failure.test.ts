import { describe, expect, test } from 'vitest';
import { failureKind, saysDamaged } from './sync-failure.js';

/** Messages as libsql 0.5.29 gives them. */
describe('failureKind', () => {
  test.each([
    ['open', 'sync error: error trying to connect: tcp connect error: Connection refused (os error 111)', 'wait'],
    ['open', 'sync error: error trying to connect: invalid peer certificate: UnknownIssuer', 'wait'],
    ['lock', 'another process syncs this replica', 'wait'],
    ['sync', 'Replication(Client(Status { code: Unavailable, message: "snapshot not found", metadata: … }))', 'wait'],
    ['sync', 'Injector(Sqlite(SqliteFailure(Error { code: DatabaseBusy, … }, Some("database is locked"))))', 'wait'],
    ['sync', 'Replication(PrimaryHandshakeTimeout)', 'token'],
    ['sync', 'Replication(Client(Status { code: Unknown, message: "transport error" }))', 'replace'],
    ['sync', 'Can not sync a database without a wal_index, please delete the database and attempt again', 'copy'],
    ['open', 'file is not a database', 'copy'],
    ['sync', 'database disk image is malformed', 'copy'],
  ] as const)('at %s: %s → %s', (stage, message, kind) => {
    expect(failureKind(stage, message)).toBe(kind);
  });
});

describe('saysDamaged', () => {
  test('knows the driver by its code or, from a thread, by its message', () => {
    expect(saysDamaged(Object.assign(new Error('x'), { code: 'SQLITE_CORRUPT_INDEX' }))).toBe(true);
    expect(saysDamaged(new Error('database disk image is malformed'))).toBe(true);
    expect(saysDamaged(new Error('no such table: images'))).toBe(false);
    expect(saysDamaged('malformed')).toBe(false);
  });
});
