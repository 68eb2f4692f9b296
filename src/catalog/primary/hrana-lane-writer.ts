/**
 * A lane's writer over `sqld`: the only one that writes to it, one request at a time.
 *
 *   waiting for sqld --up--> preparing (schema, epoch) --ready--> serving --close--> ended
 *   any --sqld ends, outcome unknown, kill--> ended
 *
 * After a request whose outcome is unknown it ends: the lane starts another and sends the group again, and the ids of its
 * operations keep what was committed from happening twice.
 */
import { ServiceError } from '../../base/service-error.js';
import { integerAt, textAt } from '../connection.js';
import type { LaneAnswer, LaneOperation, LaneRequest } from '../lane/lane-protocol.js';
import type { LaneListener, LaneWriter } from '../lane/lane-writer.js';
import { unavailableMessage } from '../lane/file-problems.js';
import { MIGRATIONS } from '../migrations/index.js';
import { PRUNE_OPERATIONS } from '../write/operation-upkeep.js';
import type { AccessTokens } from './access-tokens.js';
import { groupProgram, type GroupResult } from './group-program.js';
import { HranaClient, HranaError } from './hrana-client.js';
import { type BatchStep, step, type StepOutcome } from './hrana-protocol.js';
import { HranaStream } from './hrana-stream.js';
import { migrateRemotely, positionNow, raiseEpoch } from './prepare-catalog.js';
import type { SqldProcess } from './sqld-process.js';
import type { SqldSupervisor } from './sqld-supervisor.js';
import { watchWrite, type WatchTimes } from './write-watch.js';

export interface HranaWriterSettings {
  readonly sqld: SqldSupervisor;
  readonly tokens: AccessTokens;
  /** The runs of `sqld` whose epoch was raised. */
  readonly raised: WeakSet<SqldProcess>;
  readonly retentionMs: number;
  readonly pruneEveryMs: number;
  readonly probeEveryMs: number;
  readonly watchTimes: WatchTimes;
}

/** Queued writes are told after this long that the catalog is down; edges, which wait for 10 s, hear it. */
const UP_TIMEOUT_MS = 8000;
/** The watch ends a hopeless write sooner; this bounds one that goes on and on. */
const WRITE_TIMEOUT_MS = 120_000;
const READ_TIMEOUT_MS = 2000;
const PRUNE_CHUNK = 500;
/** Takes the write lock and leaves it, without a frame for the replicas' log. */
const PROBE: readonly BatchStep[] = [step('begin immediate'), step('rollback')];

export class HranaLaneWriter implements LaneWriter {
  readonly #settings: HranaWriterSettings;
  readonly #listener: LaneListener;
  readonly #ended: Promise<void>;
  #sqld: SqldProcess | undefined;
  #client: HranaClient | undefined;
  #stopping: string | undefined;
  #group: readonly LaneOperation[] | undefined;
  #closing = false;
  #frame = 0;
  #wake: () => void = () => undefined;

  constructor(settings: HranaWriterSettings, listener: LaneListener) {
    this.#settings = settings;
    this.#listener = listener;
    this.#ended = this.#run().then((how) => {
      this.#client?.close();
      listener.onExit(how);
    });
  }

  get pid(): number | undefined {
    return this.#sqld?.pid;
  }

  send(request: LaneRequest): void {
    if (request.kind === 'group') this.#group = request.operations;
    else this.#closing = true;
    this.#wake();
  }

  kill(): void {
    this.#stop('killed');
  }

  exited(): Promise<void> {
    return this.#ended;
  }

  /** Returns how it ended. */
  async #run(): Promise<string> {
    try {
      const stream = await this.#prepare();
      await this.#serve(stream);
      return 'closed';
    } catch (error) {
      if (error instanceof ServiceError) {
        this.#listener.onReport({ kind: 'not-opened', reason: error.reason, message: error.message });
      }
      return this.#stopping ?? (error instanceof Error ? error.message : String(error));
    }
  }

  async #prepare(): Promise<HranaStream> {
    const { sqld: supervisor, tokens, raised } = this.#settings;
    const sqld = await supervisor.running(UP_TIMEOUT_MS);
    this.#sqld = sqld;
    void sqld.exited.then((how) => this.#stop(`sqld ended (${how})`));
    const client = new HranaClient(sqld.port, tokens);
    this.#client = client;
    const stream = new HranaStream(client);
    await migrateRemotely(stream, MIGRATIONS, Date.now());
    const { epoch, frame } = raised.has(sqld) ? await positionNow(stream) : await raiseEpoch(stream);
    raised.add(sqld);
    this.#frame = frame;
    this.#listener.onReport({ kind: 'ready', epoch, frame });
    return stream;
  }

  async #serve(stream: HranaStream): Promise<void> {
    const { retentionMs, pruneEveryMs, probeEveryMs } = this.#settings;
    let pruneAtMs = Date.now() + pruneEveryMs;
    while (this.#stopping === undefined) {
      const group = this.#group;
      if (group !== undefined) {
        this.#group = undefined;
        this.#listener.onReport({ kind: 'answers', answers: await this.#commit(stream, group) });
      } else if (this.#closing) return;
      // One chunk between two groups.
      if (Date.now() >= pruneAtMs) {
        const more = await this.#prune(stream, Date.now() - retentionMs);
        if (!more) pruneAtMs = Date.now() + pruneEveryMs;
      } else if (group === undefined) {
        const woken = await this.#sleep(Math.min(probeEveryMs, pruneAtMs - Date.now()));
        if (!woken) this.#complain('probe', await this.#write(stream, PROBE));
      }
    }
    throw new Error(this.#stopping);
  }

  /** Resolves to whether there is something to do; at once, when there is. */
  async #sleep(timeoutMs: number): Promise<boolean> {
    if (this.#group !== undefined || this.#closing || this.#stopping !== undefined) return true;
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, timeoutMs));
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  async #commit(stream: HranaStream, operations: readonly LaneOperation[]): Promise<readonly LaneAnswer[]> {
    try {
      let result = await this.#commitOnce(stream, operations, true);
      if (result.kind === 'split') result = await this.#commitOnce(stream, operations, false);
      if (result.kind === 'split') return operations.map(() => UNWRITTEN);
      if (result.answers.some((answer) => answer.kind === 'applied')) this.#frame += 1;
      const known = await this.#findKnown(stream, operations, result.repeated);
      return result.answers.map((answer, index) => known.get(index) ?? answer);
    } catch (error) {
      if (error instanceof HranaError && error.outcome === 'refused') {
        // Nothing was applied, and it would be refused again.
        return operations.map(() => ({ kind: 'unavailable', message: unavailableMessage(error.message) }));
      }
      throw error;
    }
  }

  async #commitOnce(stream: HranaStream, operations: readonly LaneOperation[], merging: boolean): Promise<GroupResult> {
    const program = groupProgram(operations, this.#frame + 1, merging);
    return program.resultOf(await this.#write(stream, program.steps));
  }

  /** What is known of operations that were applied by an earlier call, or by an earlier one of the same group. */
  async #findKnown(
    stream: HranaStream,
    operations: readonly LaneOperation[],
    repeated: readonly number[],
  ): Promise<ReadonlyMap<number, LaneAnswer>> {
    const known = new Map<number, LaneAnswer>();
    if (repeated.length === 0) return known;
    const select = 'select frame, nonce from ops where op_id = ?';
    const steps = repeated.map((index) => step(select, [operations[index]?.opId ?? ''], undefined, true));
    const outcomes = await this.#write(stream, steps);
    for (const [place, index] of repeated.entries()) {
      const outcome = outcomes[place];
      const row = outcome?.kind === 'ok' ? outcome.rows[0] : undefined;
      if (row !== undefined) known.set(index, { kind: 'known', frame: integerAt(row, 0), nonce: textAt(row, 1) });
    }
    return known;
  }

  /** Forgets the oldest operations; tells whether there may be more to forget. */
  async #prune(stream: HranaStream, beforeMs: number): Promise<boolean> {
    const outcomes = await this.#write(stream, [step(PRUNE_OPERATIONS, [beforeMs, PRUNE_CHUNK])]);
    this.#complain('prune', outcomes);
    const [outcome] = outcomes;
    return outcome?.kind === 'ok' && outcome.changes === PRUNE_CHUNK;
  }

  async #write(stream: HranaStream, steps: readonly BatchStep[]): Promise<readonly StepOutcome[]> {
    const { sqld: supervisor, watchTimes } = this.#settings;
    const sqld = this.#sqld;
    return await watchWrite(
      stream.batch(steps, WRITE_TIMEOUT_MS),
      {
        isWorking: () => sqld?.isWorking() ?? false,
        canRead: async () => await this.#canRead(),
        onHopeless: (why) => supervisor.restart(why),
      },
      watchTimes,
    );
  }

  async #canRead(): Promise<boolean> {
    try {
      const options = { baton: null, close: true, timeoutMs: READ_TIMEOUT_MS };
      await this.#client?.batch([step('select 1')], options);
      return true;
    } catch {
      return false;
    }
  }

  #complain(what: string, outcomes: readonly StepOutcome[]): void {
    const failure = outcomes.find((outcome) => outcome.kind === 'failed');
    if (failure === undefined) return;
    this.#listener.onReport({ kind: 'trouble', message: `${what}: ${failure.code}: ${failure.message}` });
  }

  #stop(how: string): void {
    this.#stopping ??= how;
    this.#client?.close();
    this.#wake();
  }
}

const UNWRITTEN: LaneAnswer = { kind: 'unavailable', message: unavailableMessage() };
