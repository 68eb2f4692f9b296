import { existsSync, statSync } from 'node:fs';
import { ServiceError } from '../../base/service-error.js';
import type { Point } from '../../domain/position.js';
import { Connection, integerAt, type Row, textAt } from '../connection.js';
import { pendingMigrations, SELECT_MIGRATIONS } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { factsOf } from '../replica/file-facts.js';
import { checkListings } from './listing-check.js';

/** What was found of a catalog's file. */
export interface CatalogReport {
  readonly schemaVersion: number;
  /** Migrations of this release that the file has not had. */
  readonly pending: number;
  readonly position: Point | null;
  readonly images: number;
  /** When the last change was made that is remembered, in milliseconds since 1970; null: none within a day. */
  readonly changedAtMs: number | null;
  /** What is wrong, in words; none: it is sound. */
  readonly problems: readonly string[];
}

const PROBLEMS_MAX = 20;

/**
 * Looks at a catalog's file from the pages up: SQLite's integrity and foreign keys, the schema's version, and what this
 * program keeps true besides: every image can be read, the list index agrees with the images, running uploads are those of
 * images that are being saved. One snapshot, so that a node may go on writing. NOT_FOUND: there is no file. INVALID_ARGUMENT: a
 * folder.
 */
export function verifyCatalog(file: string): CatalogReport {
  if (!existsSync(file)) throw new ServiceError('NOT_FOUND', `there is no file ${file}`);
  if (statSync(file).isDirectory())
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `${file} is a folder: name a catalog's file, or the data folder by --data`,
    );
  let connection: Connection | undefined;
  try {
    connection = new Connection(file, 'reader');
    return check(connection);
  } catch (error) {
    // SQLite's own words for a file that it cannot even begin with.
    const problem = error instanceof Error ? error.message : String(error);
    return { schemaVersion: 0, pending: 0, position: null, images: 0, changedAtMs: null, problems: [problem] };
  } finally {
    connection?.close();
  }
}

/** The same, for what must be sound. DATA_CORRUPT: it is not; the message says why. */
export function requireSound(file: string, what: string): CatalogReport {
  const report = verifyCatalog(file);
  if (report.problems.length === 0) return report;
  throw new ServiceError('DATA_CORRUPT', `${what} ${file} is not sound: ${report.problems.join('; ')}`);
}

function check(connection: Connection): CatalogReport {
  const { schemaVersion, position } = factsOf(connection);
  const none = { schemaVersion, pending: 0, position: null, images: 0, changedAtMs: null };
  if (position === undefined) return { ...none, problems: ['it is no catalog: it has no schema'] };
  connection.run('begin');
  try {
    const pages = connection.all(`pragma integrity_check(${PROBLEMS_MAX})`).map((row) => textAt(row, 0));
    // What SQLite cannot follow, nothing else should try to.
    if (pages.join() !== 'ok') return { ...none, position, problems: pages };
    const problems: string[] = [];
    const pending = pendingOf(connection, problems);
    problems.push(...connection.all('pragma foreign_key_check').slice(0, PROBLEMS_MAX).map(strayText));
    for (const { select, problem } of RULES) {
      const rows = connection.all(select).map((row) => String(row[0]));
      if (rows.length > 0) problems.push(`${problem}: ${rows.join(', ')}`);
    }
    const listings = checkListings(connection);
    problems.push(...listings.problems.slice(0, PROBLEMS_MAX));
    const changed = connection.get('select at_ms from ops order by seq desc limit 1');
    const changedAtMs = changed === undefined ? null : integerAt(changed, 0);
    return { schemaVersion, pending, position, images: listings.images, changedAtMs, problems };
  } finally {
    connection.run('commit');
  }
}

function pendingOf(connection: Connection, problems: string[]): number {
  try {
    return pendingMigrations(connection.all(SELECT_MIGRATIONS), MIGRATIONS).length;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    problems.push(error.message);
    return 0;
  }
}

function strayText(row: Row): string {
  return `a row of ${String(row[0])} names one of ${String(row[2])} that is not there`;
}

/** Each selects what must not be. */
const RULES: readonly { readonly select: string; readonly problem: string }[] = [
  { select: `select ok from guard limit ${PROBLEMS_MAX}`, problem: 'rows were left in the table of guards' },
  {
    select:
      "select id from images where status = 'saving' and not exists " +
      `(select 1 from uploads where uploads.upload_id = images.upload_id) limit ${PROBLEMS_MAX}`,
    problem: 'images are being saved without an upload',
  },
  {
    select:
      "select id from images where status = 'deleted' and exists " +
      `(select 1 from image_members where image_id = images.id) limit ${PROBLEMS_MAX}`,
    problem: 'deleted images have members',
  },
];
