/**
 * The node's end of the write lane: one group under way, everything else queued, and a supervisor for the process.
 *
 *   starting --ready--> idle --write--> committing --answers--> idle (or committing the next group)
 *   any --exit--> starting, after a pause; the group under way is sent again, and the ids of its operations keep what
 *   was committed from happening twice
 *   any --close--> closing --queue empty, exit--> closed
 */
import { randomUUID } from 'node:crypto';
import { isReason } from '../../base/error-table.js';
import { ServiceError } from '../../base/service-error.js';
import type { Step } from '../write/compile-effects.js';
import type { LaneAnswer, LaneOperation, LaneReport } from './lane-protocol.js';
import type { LaneWriter, StartLaneWriter } from './lane-writer.js';

export interface LaneResult {
  readonly frame: number;
  readonly replayed: boolean;
}

export interface SubmitOptions {
  readonly opId: string;
  readonly subject: string;
  /** What the feed tells of it; none unless told. */
  readonly events?: string | null;
}

export interface LaneState {
  readonly ok: boolean;
  readonly message: string;
  readonly epoch: number;
  readonly frame: number;
}

export interface LaneLog {
  readonly warn: (facts: Readonly<Record<string, string | number>>, message: string) => void;
}

export interface GroupOptions {
  /** How many operations share a commit at most; 64 unless told. */
  readonly limit?: number;
  /**
   * Whether a group leaves at the end of the event loop's turn, with what the callers write whom the last group answered.
   * Without it, those make a group of their own, and callers take turns in two halves.
   */
  readonly gather?: boolean;
}

const GROUP_LIMIT = 64;
const QUEUE_LIMIT = 10_000;
/** Each goes on to, say, open the file of its upload: 64 in a row would hold the event loop for tens of milliseconds. */
const CALLERS_A_TURN = 16;
/** A group that outlived this many processes is given up: it may be what ends them. */
const RUNS_PER_OPERATION = 5;
const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;
/** An fsync may wait for a minute's writeback; past that the process counts as hung. */
const ANSWER_TIMEOUT_MS = 120_000;

interface Pending {
  readonly operation: LaneOperation;
  readonly steps: readonly Step[];
  readonly resolve: (result: LaneResult) => void;
  readonly reject: (error: unknown) => void;
  runs: number;
}

export class WriteLane {
  readonly #startWriter: StartLaneWriter;
  readonly #log: LaneLog;
  readonly #groups: Required<GroupOptions>;
  #gathering = false;
  #writer: LaneWriter | undefined;
  #ready = false;
  #closing = false;
  #queue: Pending[] = [];
  #underWay: Pending[] = [];
  #watchdog: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  #restartMs = RESTART_MIN_MS;
  #epoch = 0;
  #frame = 0;
  #trouble: string | undefined = 'the catalog is being opened';
  /** Why no process could open the catalog, until one does. */
  #down: ServiceError | undefined;
  #opened: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
  #drained: (() => void) | undefined;

  constructor(startWriter: StartLaneWriter, log: LaneLog, groups: GroupOptions = {}) {
    this.#startWriter = startWriter;
    this.#log = log;
    this.#groups = { limit: GROUP_LIMIT, gather: false, ...groups };
  }

  /** Starts the process, which creates or migrates the file. @throws ServiceError when it cannot be opened. */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#opened = { resolve, reject };
      this.#start();
    });
  }

  /** Queues the operation; resolves when it is durable. @throws ServiceError as its steps say, UNAVAILABLE. */
  submit(steps: readonly Step[], options: SubmitOptions): Promise<LaneResult> {
    if (this.#closing) return Promise.reject(new ServiceError('UNAVAILABLE', 'the catalog is closing'));
    // At once: who waits for the next try may give up before it, and not know whether the change was made.
    if (this.#down !== undefined) return Promise.reject(this.#down);
    if (this.#queue.length >= QUEUE_LIMIT) {
      const message = `the catalog has ${QUEUE_LIMIT} writes waiting: retry in a moment`;
      return Promise.reject(new ServiceError('UNAVAILABLE', message));
    }
    return new Promise((resolve, reject) => {
      const operation: LaneOperation = {
        opId: options.opId,
        nonce: randomUUID(),
        subject: options.subject,
        atMs: Date.now(),
        events: options.events ?? null,
        steps: steps.map(({ statement, values }) => ({ statement, values })),
      };
      this.#queue.push({ operation, steps, resolve, reject, runs: 0 });
      this.#pumpOrGather();
    });
  }

  state(): LaneState {
    const ok = this.#trouble === undefined;
    return { ok, message: this.#trouble ?? 'ok', epoch: this.#epoch, frame: this.#frame };
  }

  /** The id of the lane's process while there is one. */
  get pid(): number | undefined {
    return this.#writer?.pid;
  }

  /** Writes what is queued, then ends the process. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#queue.length + this.#underWay.length > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    clearTimeout(this.#restart);
    const running = this.#writer;
    running?.send({ kind: 'close' });
    await running?.exited();
  }

  #start(): void {
    this.#writer = this.#startWriter({
      onReport: (report) => this.#onReport(report),
      onExit: (how) => this.#onExit(how),
    });
  }

  #onReport(report: LaneReport): void {
    switch (report.kind) {
      case 'ready':
        this.#ready = true;
        this.#restartMs = RESTART_MIN_MS;
        this.#trouble = undefined;
        this.#down = undefined;
        this.#epoch = report.epoch;
        this.#frame = Math.max(this.#frame, report.frame);
        this.#opened?.resolve();
        this.#opened = undefined;
        this.#pump();
        return;
      case 'not-opened':
        this.#notOpened(new ServiceError(isReason(report.reason) ? report.reason : 'UNAVAILABLE', report.message));
        return;
      case 'trouble':
        this.#log.warn({ problem: report.message }, 'catalog: upkeep failed, it will be tried again');
        return;
      case 'answers':
        this.#onAnswers(report.answers);
        return;
    }
  }

  #notOpened(error: ServiceError): void {
    this.#trouble = `the catalog cannot be opened: ${error.message}`;
    if (this.#opened !== undefined) {
      this.#closing = true;
      this.#opened.reject(error);
      this.#opened = undefined;
      return;
    }
    this.#down = new ServiceError('UNAVAILABLE', this.#trouble);
    this.#failAll(this.#down);
  }

  #onExit(how: string): void {
    this.#writer = undefined;
    this.#ready = false;
    clearTimeout(this.#watchdog);
    if (this.#opened !== undefined) {
      this.#notOpened(new ServiceError('UNAVAILABLE', `the catalog's lane ended at start: ${how}`));
    }
    if (this.#closing && this.#queue.length + this.#underWay.length === 0) return;
    this.#trouble ??= `the catalog's lane ended (${how}) and is being restarted`;
    this.#log.warn({ how, underWay: this.#underWay.length, queued: this.#queue.length }, 'catalog: lane restarts');
    const again = this.#underWay.filter((pending) => {
      if (pending.runs < RUNS_PER_OPERATION) return true;
      const message = 'the catalog failed again and again while it wrote this; whether it did is unknown';
      pending.reject(new ServiceError('UNAVAILABLE', message));
      return false;
    });
    this.#underWay = [];
    this.#queue = [...again, ...this.#queue];
    this.#settleDrain();
    this.#restart = setTimeout(() => this.#start(), this.#restartMs);
    this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MAX_MS);
  }

  #pumpOrGather(): void {
    if (!this.#groups.gather) this.#pump();
    else if (!this.#gathering) {
      this.#gathering = true;
      setImmediate(() => {
        this.#gathering = false;
        this.#pump();
      });
    }
  }

  #pump(): void {
    if (!this.#ready || this.#underWay.length > 0 || this.#queue.length === 0) return;
    this.#underWay = this.#queue.splice(0, this.#groups.limit);
    for (const pending of this.#underWay) pending.runs += 1;
    this.#writer?.send({ kind: 'group', operations: this.#underWay.map((pending) => pending.operation) });
    this.#watchdog ??= setTimeout(() => this.#hung(), ANSWER_TIMEOUT_MS);
    this.#watchdog.refresh();
  }

  #hung(): void {
    this.#watchdog = undefined;
    if (this.#underWay.length === 0) return;
    this.#log.warn({ timeoutMs: ANSWER_TIMEOUT_MS }, 'catalog: lane does not answer, it is replaced');
    this.#writer?.kill();
  }

  #onAnswers(answers: readonly LaneAnswer[]): void {
    const group = this.#underWay;
    this.#underWay = [];
    for (const answer of answers) if (answer.kind === 'applied') this.#frame = Math.max(this.#frame, answer.frame);
    const failed = answers.find((answer) => answer.kind === 'unavailable');
    if (failed === undefined) this.#trouble = undefined;
    else {
      if (this.#trouble === undefined) this.#log.warn({ problem: failed.message }, 'catalog: a group failed');
      this.#trouble = failed.message;
    }
    // The next group is on its way before callers of this one go on, unless it is to have their next writes.
    this.#pumpOrGather();
    this.#settleFrom(0, group, answers);
  }

  /** Lets callers go on a few at a time, with other work of the event loop between them. */
  #settleFrom(start: number, group: readonly Pending[], answers: readonly LaneAnswer[]): void {
    const end = Math.min(start + CALLERS_A_TURN, group.length);
    for (let index = start; index < end; index += 1) {
      const pending = group[index];
      if (pending !== undefined) settle(pending, answers[index]);
    }
    if (end < group.length) setImmediate(() => this.#settleFrom(end, group, answers));
    else this.#settleDrain();
  }

  #failAll(error: ServiceError): void {
    const waiting = [...this.#underWay, ...this.#queue];
    this.#underWay = [];
    this.#queue = [];
    for (const pending of waiting) pending.reject(error);
    this.#settleDrain();
  }

  #settleDrain(): void {
    if (this.#queue.length + this.#underWay.length === 0) this.#drained?.();
  }
}

function settle(pending: Pending, answer: LaneAnswer | undefined): void {
  switch (answer?.kind) {
    case undefined:
      pending.reject(new ServiceError('INTERNAL', 'the lane gave no answer to an operation'));
      return;
    case 'applied':
      pending.resolve({ frame: answer.frame, replayed: false });
      return;
    case 'known':
      pending.resolve({ frame: answer.frame, replayed: answer.nonce !== pending.operation.nonce });
      return;
    case 'unavailable':
      pending.reject(new ServiceError('UNAVAILABLE', answer.message));
      return;
    case 'refused':
      pending.reject(refusal(pending, answer));
      return;
  }
}

function refusal(pending: Pending, answer: LaneAnswer & { readonly kind: 'refused' }): ServiceError {
  const step = pending.steps[answer.step];
  // Foreign keys: members and uploads need their image.
  if (answer.message.includes('FOREIGN KEY')) return new ServiceError('NOT_FOUND', 'the image does not exist');
  // `sqld` takes no value over 5 MB.
  if (answer.message.includes('too big')) {
    return new ServiceError('LIMIT_EXCEEDED', 'the properties of one image are over 5 MB together: make some shorter');
  }
  if (answer.constraint && step?.failure !== undefined) {
    return new ServiceError(step.failure.reason, step.failure.message);
  }
  return new ServiceError('INTERNAL', `catalog: ${step?.statement ?? 'operation'} failed: ${answer.message}`);
}
