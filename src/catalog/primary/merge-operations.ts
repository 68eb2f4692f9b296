/** Which operations of a group can be taken together, and the statements that do so. */
import type { SqlValue } from '../connection.js';
import type { LaneOperation } from '../lane/lane-protocol.js';
import { MERGED_STATEMENTS } from '../write/merged-statements.js';
import type { StatementName } from '../write/statements.js';
import { touchedBy } from '../write/touched-things.js';
import { wellFormed } from './hrana-protocol.js';

/** `sqld` takes no value over 5 MB; one operation with long properties is better alone. */
const MERGED_TEXT_LIMIT = 2_000_000;

interface Call {
  readonly statement: StatementName;
  readonly values: readonly SqlValue[];
}

export interface Merged {
  /** The operations, by their place in the group. */
  readonly members: ReadonlySet<number>;
  /** In this order; `values` is the JSON of the calls. */
  readonly statements: readonly { readonly sql: string; readonly values: string }[];
}

/**
 * Takes together each operation that touches nothing of an earlier one's, so that the others may follow them in their own
 * order and all see what they would have seen one by one.
 */
export function mergeOperations(operations: readonly LaneOperation[], frame: number): Merged {
  const written = new Set<string>();
  const read = new Set<string>();
  const merged = new Map<number, readonly Call[]>();
  let length = 0;
  for (const [index, operation] of operations.entries()) {
    const calls = callsOf(operation, frame);
    const touched = calls.flatMap(({ statement, values }) => touchedBy(statement, values));
    const independent = touched.every(({ thing, reads }) => !written.has(thing) && (reads || !read.has(thing)));
    for (const { thing, reads } of touched) (reads ? read : written).add(thing);
    const ownLength = lengthOf(calls);
    if (!independent || length + ownLength > MERGED_TEXT_LIMIT || !calls.every(canMerge)) continue;
    length += ownLength;
    merged.set(index, calls);
  }
  return { members: new Set(merged.keys()), statements: zip([...merged.values()]) };
}

/** The steps of an operation, the note of its id first. */
export function callsOf(operation: LaneOperation, frame: number): readonly Call[] {
  const { opId, nonce, subject, atMs, events, steps } = operation;
  return [{ statement: 'insertOperation', values: [opId, nonce, subject, atMs, frame, events] }, ...steps];
}

function canMerge({ statement }: Call): boolean {
  return MERGED_STATEMENTS.has(statement);
}

function lengthOf(calls: readonly Call[]): number {
  let length = 0;
  for (const { values } of calls) for (const value of values) length += typeof value === 'string' ? value.length : 8;
  return length;
}

/**
 * Takes one step of every operation that is at that step, again and again, the earliest statement of the list first: each
 * operation's own steps keep their order.
 */
function zip(operations: readonly (readonly Call[])[]): Merged['statements'] {
  const ranks = [...MERGED_STATEMENTS.keys()];
  const rankOf = new Map(ranks.map((name, rank) => [name, rank]));
  const rows = operations.map((calls) => ({ calls, next: 0 }));
  const statements: { sql: string; values: string }[] = [];
  for (;;) {
    let least = ranks.length;
    for (const { calls, next } of rows) {
      const call = calls[next];
      if (call !== undefined) least = Math.min(least, rankOf.get(call.statement) ?? least);
    }
    const name = ranks[least];
    const sql = name === undefined ? undefined : MERGED_STATEMENTS.get(name);
    if (sql === undefined) return statements;
    const taken: (readonly SqlValue[])[] = [];
    for (const row of rows) {
      const call = row.calls[row.next];
      if (call?.statement !== name || call === undefined) continue;
      taken.push(call.values);
      row.next += 1;
    }
    statements.push({ sql, values: JSON.stringify(taken.map((values) => values.map(whole))) });
  }
}

/** Before the JSON, which would hide half a pair behind its escape. */
function whole(value: SqlValue): SqlValue {
  return typeof value === 'string' ? wellFormed(value) : value;
}
