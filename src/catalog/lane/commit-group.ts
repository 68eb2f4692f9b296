import { type Connection, integerAt, sqliteCode, textAt } from '../connection.js';
import { STATEMENTS } from '../write/statements.js';
import { concernsTheFile, unavailableMessage } from './file-problems.js';
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
    const message = unavailableMessage(sqliteCode(error));
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
    const { opId, nonce, subject, atMs, events } = operation;
    connection.run(STATEMENTS.insertOperation, opId, nonce, subject, atMs, frame, events);
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
