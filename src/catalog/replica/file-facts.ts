import { type Connection, integerAt } from '../connection.js';
import type { FilePosition } from '../file-reads.js';

/** What a copy says about itself. */
export interface FileFacts {
  /** 0: there is no schema. */
  readonly schemaVersion: number;
  /** Undefined without a schema that has positions. */
  readonly position: FilePosition | undefined;
}

/** Reads them in one snapshot; some 50 µs. */
export function factsOf(connection: Connection): FileFacts {
  connection.run('begin');
  try {
    const tables = connection.get(
      "select count(*) from sqlite_master where type = 'table' and name in ('schema_migrations', 'meta')",
    );
    if (tables === undefined || integerAt(tables, 0) < 2) return { schemaVersion: 0, position: undefined };
    const version = connection.get('select coalesce(max(version), 0) from schema_migrations');
    const epoch = connection.get("select value from meta where name = 'epoch'");
    const frame = connection.get("select value from meta where name = 'frame'");
    return {
      schemaVersion: version === undefined ? 0 : integerAt(version, 0),
      position:
        epoch === undefined || frame === undefined
          ? undefined
          : { epoch: integerAt(epoch, 0), frame: integerAt(frame, 0) },
    };
  } finally {
    connection.run('commit');
  }
}

/** Tells whether `there` has all that `wanted` had: frames count within an epoch, and a newer epoch has all of an older. */
export function reaches(there: FilePosition, wanted: FilePosition): boolean {
  return there.epoch > wanted.epoch || (there.epoch === wanted.epoch && there.frame >= wanted.frame);
}

export function positionText(position: FilePosition | undefined): string {
  return position === undefined ? 'none' : `${position.epoch}:${position.frame}`;
}
