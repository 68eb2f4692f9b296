/** What a lane over `sqld` does before its first group: the schema, and the epoch of a new run. */
import { ServiceError } from '../../base/service-error.js';
import { integerAt, type Row } from '../connection.js';
import {
  INSERT_MIGRATION,
  type Migration,
  MIGRATIONS_TABLE,
  pendingMigrations,
  recordOf,
  SELECT_MIGRATIONS,
} from '../migrate.js';
import { NAME_CATALOG, NOTE_EPOCH } from '../write/operation-upkeep.js';
import { type BatchStep, ok, step, type StepOutcome, WITHIN_TRANSACTION } from './hrana-protocol.js';
import type { HranaStream } from './hrana-stream.js';
import { splitStatements } from './split-statements.js';

/** An index over a million rows takes its time, and a server that was killed reads its whole file at the first request. */
const TIMEOUT_MS = 600_000;

/**
 * Brings the catalog to the newest schema, one batch a migration, recorded as `migrate` does.
 *
 * @throws ServiceError STATE_CONFLICT as `migrate`, UNAVAILABLE when a migration cannot be applied. HranaError.
 */
export async function migrateRemotely(
  stream: HranaStream,
  migrations: readonly string[],
  nowMs: number,
): Promise<void> {
  const [, applied] = await run(stream, [step(MIGRATIONS_TABLE), step(SELECT_MIGRATIONS, [], undefined, true)]);
  for (const migration of pendingMigrations(rowsOf(applied), migrations)) {
    await run(stream, migrationSteps(migration, nowMs));
  }
}

/** Starts a new epoch: frames of before the server's start do not compare with those after. Returns where it begins. */
export async function raiseEpoch(stream: HranaStream): Promise<{ readonly epoch: number; readonly frame: number }> {
  await run(
    stream,
    atomic([step("update meta set value = value + 1 where name = 'epoch'"), step(NOTE_EPOCH), step(NAME_CATALOG)]),
  );
  return await positionNow(stream);
}

/** The position of the last write. */
export async function positionNow(stream: HranaStream): Promise<{ readonly epoch: number; readonly frame: number }> {
  const select = "select (select value from meta where name = 'epoch'), (select value from meta where name = 'frame')";
  const [outcome] = await run(stream, [step(select, [], undefined, true)]);
  const [row] = rowsOf(outcome);
  if (row === undefined) throw new ServiceError('DATA_CORRUPT', 'catalog: the file has no position');
  return { epoch: integerAt(row, 0), frame: integerAt(row, 1) };
}

function migrationSteps(migration: Migration, nowMs: number): readonly BatchStep[] {
  const statements = splitStatements(migration.sql).map((sql) => step(sql));
  return atomic([...statements, step(INSERT_MIGRATION, recordOf(migration, nowMs))]);
}

/** All of the steps or none. */
function atomic(steps: readonly BatchStep[]): readonly BatchStep[] {
  const chained = [step('begin immediate'), ...steps, step('commit')].map(({ stmt }, index) =>
    index === 0 ? { stmt } : { stmt, condition: ok(index - 1) },
  );
  return [...chained, step('rollback', [], WITHIN_TRANSACTION)];
}

async function run(stream: HranaStream, steps: readonly BatchStep[]): Promise<readonly StepOutcome[]> {
  const outcomes = await stream.batch(steps, TIMEOUT_MS);
  for (const outcome of outcomes) {
    if (outcome.kind === 'failed') {
      throw new ServiceError('UNAVAILABLE', `catalog: cannot be prepared: ${outcome.code}: ${outcome.message}`);
    }
  }
  return outcomes;
}

function rowsOf(outcome: StepOutcome | undefined): readonly Row[] {
  return outcome?.kind === 'ok' ? outcome.rows : [];
}
