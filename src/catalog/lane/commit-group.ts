import { type Connection, integerAt, sqliteCode, textAt } from '../connection.js';
import { STATEMENTS } from '../write/statements.js';
import type { LaneAnswer, LaneOperation } from './lane-protocol.js';

/**
 * Applies the operations in one transaction with one fsync, each in a savepoint of its own, so that one that fails is
 * rolled back alone; an operation that is a group of its own needs none. Returns an answer for each; `frame` is what the
 * group gets when anything of it is applied.
 */
export function commitGroup(connection: Connection, operations: readonly LaneOperation[], frame: number): LaneAnswer[] {
  const [only, ...others] = operations;
  try {
    connection.run('begin immediate');
    const answers =
      only !== undefined && others.length === 0
        ? [apply(connection, only, frame)]
        : operations.map((operation) => applyAlone(connection, operation, frame));
    if (answers.some((answer) => answer.kind === 'applied')) {
      connection.run("update meta set value = ? where name = 'frame'", frame);
      connection.run('commit');
    } else {
      rollBack(connection);
    }
    return answers;
  } catch (error) {
    rollBack(connection);
    const message = unavailableMessage(error);
    return operations.map(() => ({ kind: 'unavailable', message }));
  }
}

function applyAlone(connection: Connection, operation: LaneOperation, frame: number): LaneAnswer {
  connection.run('savepoint operation');
  const answer = apply(connection, operation, frame);
  if (answer.kind !== 'applied') connection.run('rollback to operation');
  connection.run('release operation');
  return answer;
}

/** Runs the operation's statements; after any answer but `applied`, the caller undoes what they did. */
function apply(connection: Connection, operation: LaneOperation, frame: number): LaneAnswer {
  let step = -1;
  try {
    const { opId, nonce, subject, atMs } = operation;
    connection.run(STATEMENTS.insertOperation, opId, nonce, subject, atMs, frame);
    for (const { statement, values } of operation.steps) {
      step += 1;
      connection.run(STATEMENTS[statement], ...values);
    }
    return { kind: 'applied', frame };
  } catch (error) {
    const code = sqliteCode(error) ?? '';
    if (concernsTheFile(code) || !connection.inTransaction) throw error;
    // The id of the operation is unique: an earlier call has applied it.
    const known =
      step === -1 ? connection.get('select frame, nonce from ops where op_id = ?', operation.opId) : undefined;
    if (known !== undefined) return { kind: 'known', frame: integerAt(known, 0), nonce: textAt(known, 1) };
    return { kind: 'refused', step, constraint: code.startsWith('SQLITE_CONSTRAINT'), message: messageOf(error) };
  }
}

function rollBack(connection: Connection): void {
  // A full disk or an I/O error has rolled back already (sqlite.org/lang_transaction.html, section 3).
  if (connection.inTransaction) connection.exec('rollback');
}

const FILE_PROBLEMS = [
  'FULL',
  'IOERR',
  'READONLY',
  'CORRUPT',
  'NOTADB',
  'CANTOPEN',
  'BUSY',
  'LOCKED',
  'NOMEM',
  'PROTOCOL',
];

/** Tells an error of the file, which every operation would meet, from one of this operation. */
function concernsTheFile(code: string): boolean {
  return FILE_PROBLEMS.some((problem) => code.startsWith(`SQLITE_${problem}`));
}

function unavailableMessage(error: unknown): string {
  const code = sqliteCode(error) ?? 'no code';
  const advice = code.startsWith('SQLITE_FULL')
    ? 'its disk is full: free some space, then retry'
    : code.startsWith('SQLITE_READONLY')
      ? 'its file or disk is read-only: make it writable, then retry'
      : code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')
        ? 'its file is damaged: restore a backup'
        : code.startsWith('SQLITE_BUSY')
          ? 'another process holds its lock: run one node for each catalog file'
          : 'check its disk, then retry';
  return `the catalog cannot be written (${code}); ${advice}. Nothing was changed`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
