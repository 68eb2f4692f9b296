/**
 * Puts a catalog in the place of the one that a data folder has, whose node is stopped. The new one is made beside it, with
 * an epoch of its own, and the old one stays under a dated name.
 *
 *   catalog.new/…                    being made
 *   catalog.db.restored, sqld.restored  whole; the next two renames put it in its place
 *
 * Cut off between the two, the folder has no catalog but one of these; a start would make an empty one, and refuses
 * (cut-install.ts). What a primary keeps beside its catalog (the log for replicas, snapshots of it) belongs to the old
 * one: with it, replicas would go on from it without a word (reference libsql.md, finding 8).
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { nextTerm } from '../../domain/epoch.js';
import { Connection, integerAt } from '../connection.js';
import { restoredName } from '../cut-install.js';
import { pendingMigrations, SELECT_MIGRATIONS } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { makeFile, scratchFolder } from '../primary/primary-file.js';
import { primaryFolder } from '../primary/primary-folder.js';
import { openCopy } from '../primary/stopped-file.js';
import { readFence } from '../primary/fence-mark.js';
import { seenEpochIn, singleFile } from './catalog-place.js';
import { flush, takeAside } from '../whole-file.js';

export interface Install {
  /** The catalog; its file is only read. */
  readonly from: string;
  readonly dataDir: string;
  readonly as: 'single' | 'primary';
  /** The latest epoch that is known of. */
  readonly knownEpoch: number;
  readonly nowMs: number;
  /** What else is to be changed of it. */
  readonly amend?: (catalog: Connection) => void;
}

export interface Installed {
  readonly epoch: number;
  /** Where the old catalog is; undefined: there was none. */
  readonly old: string | undefined;
}

/**
 * Puts it there. @throws ServiceError STATE_CONFLICT when a newer release wrote the file, INVALID_ARGUMENT when it is no
 * catalog.
 */
export function installCatalog(install: Install): Installed {
  const { dataDir, as, nowMs } = install;
  const scratch = scratchFolder(dataDir);
  try {
    const made = join(scratch, 'made');
    const epoch = make(install, scratch, made);
    const place = as === 'single' ? singleFile(dataDir) : primaryFolder(dataDir).sqld;
    const whole = restoredName(place);
    rmSync(whole, { recursive: true, force: true });
    renameSync(made, whole);
    flush(dataDir);
    const old = takeAside(place, nowMs);
    if (as === 'single') takeLogAside(place, old ?? `${place}.lost`);
    renameSync(whole, place);
    flush(dataDir);
    return { epoch, old };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Returns the epoch that it gave it. */
function make({ from, as, knownEpoch, nowMs, amend }: Install, scratch: string, made: string): number {
  const source = openCopy(from, join(scratch, 'copy'));
  try {
    pendingMigrations(source.all(SELECT_MIGRATIONS), MIGRATIONS);
    const epoch = nextTerm(Math.max(knownEpoch, epochOf(source)), nowMs);
    source.run('begin immediate');
    source.run("update meta set value = ? where name = 'epoch'", epoch);
    amend?.(source);
    source.run('commit');
    if (as === 'primary') makeFile(source, { scratch, catalog: join(made, 'dbs', 'default', 'data') });
    else {
      source.run('vacuum into ?', made);
      flush(made);
    }
    return epoch;
  } finally {
    source.close();
  }
}

/** The old file's log must not meet the new file. */
function takeLogAside(place: string, old: string): void {
  for (const part of ['-wal', '-shm']) if (existsSync(place + part)) renameSync(place + part, old + part);
}

/** The latest epoch that anything in the data folder tells of, so that the new one is later than all. */
export function knownEpochIn(dataDir: string): number {
  const { sqld, catalog } = primaryFolder(dataDir);
  const single = singleFile(dataDir);
  const files = [catalog, join(restoredName(sqld), 'dbs', 'default', 'data'), single, restoredName(single)];
  return Math.max(readFence(sqld)?.epoch ?? 0, seenEpochIn(dataDir), ...files.map(epochOfFile));
}

/** The epoch of a catalog's file, or 0 when it cannot be told. */
export function epochOfFile(file: string): number {
  if (!existsSync(file)) return 0;
  try {
    const connection = new Connection(file, 'reader');
    try {
      return epochOf(connection);
    } finally {
      connection.close();
    }
  } catch {
    return 0;
  }
}

function epochOf(connection: Connection): number {
  const row = connection.get("select value from meta where name = 'epoch'");
  return row === undefined ? 0 : integerAt(row, 0);
}
