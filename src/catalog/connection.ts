/**
 * A connection to the catalog's file with the few calls we need, typed. Two traps of the driver (libsql 0.5.29) are
 * kept behind it: a boolean that is bound aborts the process, so values are `SqlValue`; and a statement that was run
 * by `all()` answers the next `get()` with the old row, so each statement is of one kind only.
 */
import Database from 'libsql';
import { ServiceError } from '../base/service-error.js';

export type SqlValue = string | number | null;
export type Row = readonly unknown[];

/** Milliseconds that a statement waits for another process's lock (a checkpoint, a second opener). */
const BUSY_TIMEOUT_MS = 5000;

interface RowStatement {
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
}
interface WriteStatement {
  run(...values: SqlValue[]): { readonly changes: number };
}

export class Connection {
  readonly #database: Database.Database;
  readonly #getters = new Map<string, RowStatement>();
  readonly #listers = new Map<string, RowStatement>();
  readonly #writers = new Map<string, WriteStatement>();

  /** Opens the file; `reader` refuses every write. */
  constructor(path: string, mode: 'reader' | 'writer') {
    this.#database = new Database(path);
    try {
      this.#setUp(mode);
    } catch (error) {
      // Not collected otherwise: each try to open a file that cannot be opened would leave a descriptor behind.
      this.#database.close();
      throw error;
    }
  }

  #setUp(mode: 'reader' | 'writer'): void {
    this.#database.exec(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
    // 64 MiB: the upper pages of every list index of a million images stay in memory.
    this.#database.exec('pragma cache_size = -65536');
    if (mode === 'reader') {
      this.#database.exec('pragma query_only = 1');
      return;
    }
    // Before the first table and WAL fix it. A write touches one leaf of each list index it is in, some 40 pages for a new
    // image, and every page goes to the log whole: half the page makes a commit a third quicker (docs/decisions/0013).
    this.#database.exec('pragma page_size = 2048');
    this.#database.exec('pragma journal_mode = wal');
    this.#database.exec('pragma synchronous = full');
    this.#database.exec('pragma foreign_keys = 1');
    // A checkpoint stalls the lane for some 10 ms: every 32 MiB of log instead of every 2 MiB.
    this.#database.exec('pragma wal_autocheckpoint = 16384');
    this.#database.exec('pragma journal_size_limit = 67108864');
  }

  /** The first row, or undefined. */
  get(sql: string, ...values: SqlValue[]): Row | undefined {
    let statement = this.#getters.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql).raw();
      this.#getters.set(sql, statement);
    }
    const row = statement.get(...values);
    return row === undefined ? undefined : asRow(row);
  }

  /** All rows, read to the end, so that no snapshot stays pinned. */
  all(sql: string, ...values: SqlValue[]): readonly Row[] {
    let statement = this.#listers.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql).raw();
      // Composed lists have many shapes; a bound keeps the memory of their statements bounded.
      if (this.#listers.size >= 500) this.#listers.clear();
      this.#listers.set(sql, statement);
    }
    return statement.all(...values).map(asRow);
  }

  /** Runs a statement and returns how many rows it changed. */
  run(sql: string, ...values: SqlValue[]): number {
    let statement = this.#writers.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#writers.set(sql, statement);
    }
    return statement.run(...values).changes;
  }

  /** Runs statements that bind nothing. */
  exec(sql: string): void {
    this.#database.exec(sql);
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  close(): void {
    this.#getters.clear();
    this.#listers.clear();
    this.#writers.clear();
    this.#database.close();
  }
}

/** The code of a driver's error such as `SQLITE_FULL`, or undefined when it is not one. */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined;
}

/** Column `index` of the row, a text. */
export function textAt(row: Row, index: number): string {
  const value = row[index];
  if (typeof value !== 'string') throw unlike('a text', index, value);
  return value;
}

/** Column `index` of the row, a text or null. */
export function textOrNullAt(row: Row, index: number): string | null {
  return row[index] === null ? null : textAt(row, index);
}

/** Column `index` of the row, a safe integer. */
export function integerAt(row: Row, index: number): number {
  const value = row[index];
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw unlike('an integer', index, value);
  return value;
}

/** Column `index` of the row, a safe integer or null. */
export function integerOrNullAt(row: Row, index: number): number | null {
  return row[index] === null ? null : integerAt(row, index);
}

function asRow(value: unknown): Row {
  if (!Array.isArray(value)) throw new ServiceError('DATA_CORRUPT', `catalog: expected a row, got ${typeof value}`);
  return value;
}

function unlike(expected: string, index: number, value: unknown): ServiceError {
  return new ServiceError('DATA_CORRUPT', `catalog: expected ${expected} in column ${index}, got ${typeof value}`);
}
