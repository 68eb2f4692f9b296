/**
 * The part of Hrana 3 over HTTP that we speak (libsql: docs/HRANA_3_SPEC.md, "Hrana over HTTP"): one batch a request.
 * What comes back is parsed here, once.
 */
import type { Row, SqlValue } from '../connection.js';

type HranaValue =
  | { readonly type: 'null' }
  | { readonly type: 'integer'; readonly value: string }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'text'; readonly value: string };

/** When a step runs. `ok` is false of a step that failed and of one that did not run. */
export type Condition =
  | { readonly type: 'ok'; readonly step: number }
  | { readonly type: 'not'; readonly cond: Condition }
  | { readonly type: 'and' | 'or'; readonly conds: readonly Condition[] }
  /** No transaction is open. */
  | { readonly type: 'is_autocommit' };

export interface BatchStep {
  readonly condition?: Condition;
  readonly stmt: {
    readonly sql: string;
    readonly args: readonly HranaValue[];
    readonly want_rows: boolean;
  };
}

/** What became of a step. */
export type StepOutcome =
  | { readonly kind: 'ok'; readonly rows: readonly Row[]; readonly changes: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'skipped' };

export interface BatchAnswer {
  /** Names the stream, and with it the server's connection, in the next request; null when the server ended it. */
  readonly baton: string | null;
  /** One for each step, or the error for which none of them ran. */
  readonly outcomes: readonly StepOutcome[] | { readonly code: string; readonly message: string };
}

export const WITHIN_TRANSACTION: Condition = { type: 'not', cond: { type: 'is_autocommit' } };

/** A step of a batch. */
export function step(
  sql: string,
  values: readonly SqlValue[] = [],
  condition?: Condition,
  wantRows = false,
): BatchStep {
  const stmt = { sql, args: values.map(hranaValue), want_rows: wantRows };
  return condition === undefined ? { stmt } : { condition, stmt };
}

export function ok(stepIndex: number): Condition {
  return { type: 'ok', step: stepIndex };
}

/** The body of a request. */
export function pipelineBody(steps: readonly BatchStep[], options: { baton: string | null; close: boolean }): string {
  const batch = { type: 'batch', batch: { steps } };
  return JSON.stringify({
    baton: options.baton,
    requests: options.close ? [batch, { type: 'close' }] : [batch],
  });
}

/** JSON escapes half of a surrogate pair, and the server refuses the whole request for it; SQLite has no such text. */
const HALF_PAIRS = /\p{Surrogate}/gu;

export function wellFormed(text: string): string {
  return text.replace(HALF_PAIRS, '\ufffd');
}

function hranaValue(value: SqlValue): HranaValue {
  if (value === null) return { type: 'null' };
  if (typeof value === 'string') return { type: 'text', value: wellFormed(value) };
  return Number.isSafeInteger(value) ? { type: 'integer', value: String(value) } : { type: 'float', value };
}

/** @throws Error when the answer is not one to a batch of `stepCount` steps. */
export function parseBatchAnswer(text: string, stepCount: number): BatchAnswer {
  const answer: unknown = JSON.parse(text);
  const [first] = arrayIn(answer, 'results');
  const baton = fieldOf(answer, 'baton');
  const common = { baton: typeof baton === 'string' ? baton : null };
  if (fieldOf(first, 'type') !== 'ok') return { ...common, outcomes: parseError(fieldOf(first, 'error')) };
  const result = fieldOf(fieldOf(first, 'response'), 'result');
  const results = arrayIn(result, 'step_results');
  const errors = arrayIn(result, 'step_errors');
  if (results.length !== stepCount || errors.length !== stepCount) {
    throw new Error(`expected the outcomes of ${stepCount} steps, got ${results.length}`);
  }
  return { ...common, outcomes: results.map((each, index) => parseOutcome(each, errors[index])) };
}

function parseOutcome(result: unknown, error: unknown): StepOutcome {
  if (error !== null && error !== undefined) return { kind: 'failed', ...parseError(error) };
  if (result === null || result === undefined) return { kind: 'skipped' };
  const changes = fieldOf(result, 'affected_row_count');
  const rows = arrayIn(result, 'rows').map((row): Row => {
    if (!Array.isArray(row)) throw new Error('expected a row');
    return row.map(parseValue);
  });
  return { kind: 'ok', rows, changes: typeof changes === 'number' ? changes : 0 };
}

function parseError(error: unknown): { readonly code: string; readonly message: string } {
  const code = fieldOf(error, 'code');
  const message = fieldOf(error, 'message');
  return {
    code: typeof code === 'string' ? code : 'UNKNOWN',
    message: typeof message === 'string' ? message : 'no message',
  };
}

function parseValue(value: unknown): SqlValue {
  const content = fieldOf(value, 'value');
  switch (fieldOf(value, 'type')) {
    case 'null':
      return null;
    case 'integer':
      return Number(content);
    case 'float':
    case 'text':
      if (typeof content === 'string' || typeof content === 'number') return content;
  }
  throw new Error('expected a value of a row');
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) throw new Error(`expected an object with ${name}`);
  const field: unknown = Reflect.get(value, name);
  return field;
}

function arrayIn(value: unknown, name: string): readonly unknown[] {
  const list = fieldOf(value, name);
  if (!Array.isArray(list)) throw new Error(`expected a list ${name}`);
  return list;
}
