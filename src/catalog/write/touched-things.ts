/**
 * What each statement touches: the things whose rows it reads or writes. Operations that touch different things give the
 * same result in any order, and so may be merged (merged-statements.ts).
 */
import { assert } from '../../base/assert.js';
import type { SqlValue } from '../connection.js';
import type { StatementName } from './statements.js';

type Values = readonly SqlValue[];

export interface Touched {
  readonly thing: string;
  /** It only has to be as it is. */
  readonly reads: boolean;
}

const named = (kind: string, index: number, reads = false) => {
  return (values: Values): readonly Touched[] => {
    const name = values[index];
    assert(typeof name === 'string', `value ${index} names a thing`);
    return [{ thing: `${kind} ${name}`, reads }];
  };
};
const garbage = (values: Values): readonly Touched[] => [{ thing: `garbage ${JSON.stringify(values)}`, reads: false }];

const work = (values: Values): readonly Touched[] => [
  { thing: `work ${JSON.stringify(values.slice(0, 3))}`, reads: false },
];

const TOUCHES: Readonly<Record<StatementName, (values: Values) => readonly Touched[]>> = {
  insertOperation: named('operation', 0),
  insertImage: named('image', 0),
  guardImage: named('image', 0),
  guardVersion: named('image', 0, true),
  updateImage: named('image', 24),
  post_created_at: named('image', 4),
  post_updated_at: named('image', 4),
  post_name: named('image', 4),
  post_size: named('image', 4),
  unpost_created_at: named('image', 4),
  unpost_updated_at: named('image', 4),
  unpost_name: named('image', 4),
  unpost_size: named('image', 4),
  insertMember: named('image', 0),
  guardMember: named('image', 0),
  updateMember: named('image', 3),
  deleteMember: named('image', 0),
  deleteMembers: named('image', 0),
  postMember_created_at: named('image', 1),
  postMember_updated_at: named('image', 1),
  postMember_name: named('image', 1),
  postMember_size: named('image', 1),
  unpostMember_created_at: named('image', 1),
  unpostMember_updated_at: named('image', 1),
  unpostMember_name: named('image', 1),
  unpostMember_size: named('image', 1),
  // Its image must exist.
  insertUpload: (values) => [...named('upload', 0)(values), ...named('image', 1, true)(values)],
  guardUpload: named('upload', 0),
  deleteUpload: named('upload', 0),
  addGarbage: garbage,
  removeGarbage: garbage,
  putWork: work,
  removeWork: work,
  putNode: named('node', 0),
};

/** The things that the statement with these values touches. */
export function touchedBy(statement: StatementName, values: Values): readonly Touched[] {
  return TOUCHES[statement](values);
}
