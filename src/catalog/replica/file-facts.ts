import type { Point } from '../../domain/position.js';
import { type Connection, integerAt } from '../connection.js';

/** What a copy says about itself. */
export interface FileFacts {
  /** 0: there is no schema. */
  readonly schemaVersion: number;
  /**
   * The schema version that a reader must know at least. Migrations only add, so that nodes of the release before go on
   * reading; one that takes something away raises this row (docs/decisions/0072). 0: none has yet.
   */
  readonly readableFrom: number;
  /** The number that tells catalogs apart; 0: it has none. */
  readonly catalogId: number;
  /** Undefined without a schema that has positions. */
  readonly position: Point | undefined;
}

/** Reads them in one snapshot; some 50 µs. */
export function factsOf(connection: Connection): FileFacts {
  connection.run('begin');
  try {
    const tables = connection.get(
      "select count(*) from sqlite_master where type = 'table' and name in ('schema_migrations', 'meta')",
    );
    if (tables === undefined || integerAt(tables, 0) < 2)
      return { schemaVersion: 0, readableFrom: 0, catalogId: 0, position: undefined };
    const version = connection.get('select coalesce(max(version), 0) from schema_migrations');
    const readableFrom = connection.get("select value from meta where name = 'readable_from'");
    const catalogId = connection.get("select value from meta where name = 'catalog_id'");
    const epoch = connection.get("select value from meta where name = 'epoch'");
    const frame = connection.get("select value from meta where name = 'frame'");
    return {
      schemaVersion: version === undefined ? 0 : integerAt(version, 0),
      readableFrom: readableFrom === undefined ? 0 : integerAt(readableFrom, 0),
      catalogId: catalogId === undefined ? 0 : integerAt(catalogId, 0),
      position:
        epoch === undefined || frame === undefined
          ? undefined
          : { epoch: integerAt(epoch, 0), frame: integerAt(frame, 0) },
    };
  } finally {
    connection.run('commit');
  }
}

export function positionText(position: Point | undefined): string {
  return position === undefined ? 'none' : `${position.epoch}:${position.frame}`;
}
