import type { SyncStage } from './sync-protocol.js';

/**
 * What to do about a failed sync:
 * - `wait`: it passes by itself, the same process tries again (the primary is down, it turns its log into a snapshot).
 * - `replace`: the handle may be of no use any more: a new process, after a pause.
 * - `token`: as `replace`, and the token may be refused or expired.
 * - `copy`: the file cannot be brought forward: a new copy.
 */
export type SyncFailureKind = 'wait' | 'replace' | 'token' | 'copy';

/** Messages by which libSQL says that the file, not the primary, is the trouble. */
const DAMAGE =
  /without a wal_index|SQLITE_CORRUPT|SQLITE_NOTADB|malformed|not a database|DatabaseCorrupt|NotADatabase/i;
const PASSES = /snapshot not found|DatabaseBusy|database is locked/;

/** Tells what a failure asks for, by the message: libSQL has no codes for them (reference libsql.md). */
export function failureKind(stage: SyncStage, message: string): SyncFailureKind {
  if (DAMAGE.test(message)) return 'copy';
  // No handle was made, so none has to be replaced. A dead primary is met here, since a process's handle is always new.
  if (stage !== 'sync' || PASSES.test(message)) return 'wait';
  // A primary that dies under an open handle, one that hangs, and a refused token all look like this. The next process
  // tells the first apart: it cannot connect.
  return message.includes('PrimaryHandshakeTimeout') ? 'token' : 'replace';
}

/** Tells whether an error of a read says that the file is damaged; errors from a reader thread have lost their class. */
export function saysDamaged(error: unknown): boolean {
  return error instanceof Error && DAMAGE.test(`${'code' in error ? String(error.code) : ''} ${error.message}`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
