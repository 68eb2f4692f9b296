/**
 * A group as one batch: a transaction in which every step runs only when the one before did.
 *
 *   begin immediate
 *   merged statements                                  all of these, or the whole batch is rolled back
 *   per other operation: savepoint, its steps, [rollback to], release
 *   update meta.frame, when anything was applied
 *   commit
 *   [rollback]
 */
import { unavailableMessage, concernsTheFile } from '../lane/file-problems.js';
import type { LaneAnswer, LaneOperation } from '../lane/lane-protocol.js';
import { STATEMENTS } from '../write/statements.js';
import { type BatchStep, type Condition, ok, step, type StepOutcome, WITHIN_TRANSACTION } from './hrana-protocol.js';
import { callsOf, mergeOperations } from './merge-operations.js';

/** What a batch came to. `split`: a merged step failed, nothing is kept, and each operation must be tried by itself. */
export type GroupResult =
  | {
      readonly kind: 'answered';
      readonly answers: readonly LaneAnswer[];
      /** The operations, by place, whose ids were there already; their answers are still to be found. */
      readonly repeated: readonly number[];
    }
  | { readonly kind: 'split' };

export interface GroupProgram {
  readonly steps: readonly BatchStep[];
  /** Reads the answers from what became of the steps. */
  readonly resultOf: (outcomes: readonly StepOutcome[]) => GroupResult;
}

/** Where an operation's own steps are: from the note of its id to its last. */
interface Span {
  readonly first: number;
  readonly last: number;
}

/** The program of a group; `frame` is what it gets when anything of it is applied. */
export function groupProgram(operations: readonly LaneOperation[], frame: number, merging: boolean): GroupProgram {
  const merged = merging && operations.length > 1 ? mergeOperations(operations, frame) : NOTHING_MERGED;
  const steps: BatchStep[] = [step('begin immediate')];
  for (const { sql, values } of merged.statements) steps.push(step(sql, [values], ok(steps.length - 1)));
  const mergedEnd = steps.length - 1;
  const spans = operations.map((operation, index) =>
    merged.members.has(index)
      ? undefined
      : addOperation(steps, operation, { frame, after: mergedEnd, alone: operations.length === 1 }),
  );
  const applied: Condition[] = spans.flatMap((span) => (span === undefined ? [] : [ok(span.last)]));
  if (merged.members.size > 0) applied.push(ok(mergedEnd));
  const anything: Condition = { type: 'and', conds: [WITHIN_TRANSACTION, { type: 'or', conds: applied }] };
  steps.push(step("update meta set value = ? where name = 'frame'", [frame], anything));
  steps.push(step('commit', [], ok(steps.length - 1)));
  const commit = steps.length - 1;
  steps.push(step('rollback', [], WITHIN_TRANSACTION));
  return {
    steps,
    resultOf(outcomes) {
      const has = (index: number): boolean => outcomes[index]?.kind === 'ok';
      const begun = has(0);
      if (begun && !has(mergedEnd) && !outcomes.some(spoilsTheFile)) return { kind: 'split' };
      const wanted = spans.some((span) => span !== undefined && has(span.last)) || merged.members.size > 0;
      if (!begun || (wanted && !has(commit))) {
        const message = unavailableMessage(firstFailure(outcomes)?.code);
        return { kind: 'answered', repeated: [], answers: operations.map(() => ({ kind: 'unavailable', message })) };
      }
      const answers = spans.map((span) => (span === undefined ? APPLIED(frame) : answerOf(span, outcomes, frame)));
      const repeated = spans.flatMap((span, index) => (span !== undefined && isRepeat(span, outcomes) ? [index] : []));
      return { kind: 'answered', answers, repeated };
    },
  };
}

const NOTHING_MERGED = { members: new Set<number>(), statements: [] };
const APPLIED = (frame: number): LaneAnswer => ({ kind: 'applied', frame });

interface Place {
  readonly frame: number;
  /** The step without which none of the operation runs. */
  readonly after: number;
  /** It is the whole group, and needs no savepoint. */
  readonly alone: boolean;
}

function addOperation(steps: BatchStep[], operation: LaneOperation, { frame, after, alone }: Place): Span {
  // A full disk may have ended the transaction: a savepoint outside of one would open another, and its release commit it.
  if (!alone) steps.push(step('savepoint operation', [], { type: 'and', conds: [ok(after), WITHIN_TRANSACTION] }));
  const savepoint = steps.length - 1;
  const first = steps.length;
  for (const { statement, values } of callsOf(operation, frame)) {
    steps.push(step(STATEMENTS[statement], values, ok(steps.length - 1)));
  }
  const last = steps.length - 1;
  if (!alone) {
    const failed: Condition = { type: 'and', conds: [ok(savepoint), { type: 'not', cond: ok(last) }] };
    steps.push(step('rollback to operation', [], failed), step('release operation', [], ok(savepoint)));
  }
  return { first, last };
}

function answerOf({ first, last }: Span, outcomes: readonly StepOutcome[], frame: number): LaneAnswer {
  if (outcomes[last]?.kind === 'ok') return APPLIED(frame);
  const own = outcomes.slice(first, last + 1);
  const failure = firstFailure(own);
  if (failure === undefined || spoilsTheFile(failure)) {
    return { kind: 'unavailable', message: unavailableMessage(firstFailure(outcomes)?.code) };
  }
  const constraint = failure.code === 'SQLITE_CONSTRAINT';
  return { kind: 'refused', step: own.indexOf(failure) - 1, constraint, message: failure.message };
}

function isRepeat({ first }: Span, outcomes: readonly StepOutcome[]): boolean {
  const outcome = outcomes[first];
  return outcome?.kind === 'failed' && outcome.code === 'SQLITE_CONSTRAINT';
}

type Failure = StepOutcome & { readonly kind: 'failed' };

function firstFailure(outcomes: readonly StepOutcome[]): Failure | undefined {
  return outcomes.find((outcome) => outcome.kind === 'failed');
}

/** Also a transaction that took too long and was ended for another's sake. */
function spoilsTheFile(outcome: StepOutcome): boolean {
  return outcome.kind === 'failed' && (concernsTheFile(outcome.code) || outcome.code === 'TRANSACTION_TIMEOUT');
}
