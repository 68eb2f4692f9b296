/**
 * The node's end of the sync: one process at a time for the file that is wanted, a watchdog, and pauses between failures.
 *
 *   idle --follow(path)--> asking the source --answer--> running --failure, exit--> pausing --> asking the source
 *   running --no answer and no progress--> killed --> pausing
 *   any --follow(another path), rest--> the process is killed; asking the source, or idle
 */
import {
  type FailedSync,
  type ReplicaSource,
  type SyncControl,
  type SyncListener,
  type SyncOptions,
  sameSource,
} from './sync-source.js';
import { failureKind, messageOf } from './sync-failure.js';
import { fileMarks } from './file-marks.js';
import { SyncProcessHandle } from './sync-process-handle.js';
import type { SyncReport } from './sync-protocol.js';

const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5000;
/** After a failed sync, demands wait for so long: many may want what a dead primary cannot give. */
const COOLING_MS = 250;
/** How long the process may take to end by itself, the sync that runs included. */
const CLOSE_TIMEOUT_MS = 3000;

export class SyncSupervisor implements SyncControl {
  readonly #options: SyncOptions;
  readonly #listener: SyncListener;
  #path: string | undefined;
  #process: SyncProcessHandle | undefined;
  /** What the process runs with. */
  #source: ReplicaSource | undefined;
  #askedAtMs = 0;
  #asking = false;
  #closing = false;
  #serial = 0;
  /** The demand under way, and whether another came since. */
  #sent: number | undefined;
  #again = false;
  /** Whether the process was killed by this. */
  #ending = false;
  #pauseMs = PAUSE_MIN_MS;
  #pause: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #cooling: NodeJS.Timeout | undefined;
  #marks = '';

  constructor(options: SyncOptions, listener: SyncListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** The id of the process while there is one. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  follow(path: string): void {
    this.#path = path;
    if (this.#process === undefined) this.#launch();
    else this.#end();
  }

  rest(): void {
    this.#path = undefined;
    clearTimeout(this.#pause);
    this.#end();
  }

  /** Asks for a sync that begins after this call, at once; the demands that come while one runs share the next. */
  wake(): void {
    this.#serial += 1;
    if (this.#sent === undefined) this.#send();
    else this.#again = true;
  }

  /** Asks the source again, and starts a new process when its answer has changed: a handle keeps its token. */
  async renew(): Promise<void> {
    const running = this.#process;
    if (running === undefined || this.#asking) return;
    this.#askedAtMs = Date.now();
    const source = await this.#options.source();
    if (this.#process !== running || (this.#source !== undefined && sameSource(source, this.#source))) return;
    this.#pauseMs = 0;
    this.#end();
  }

  /** Ends the process, by itself when it is not in the middle of a sync that takes long. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#path = undefined;
    clearTimeout(this.#pause);
    clearTimeout(this.#watchdog);
    const running = this.#process;
    if (running === undefined) return;
    running.send({ kind: 'close' });
    const limit = setTimeout(() => running.kill(), CLOSE_TIMEOUT_MS);
    await running.exited();
    clearTimeout(limit);
  }

  #send(): void {
    if (this.#process === undefined) return;
    this.#sent = this.#serial;
    this.#process.send({ kind: 'sync-now', serial: this.#serial });
  }

  #end(): void {
    this.#ending = true;
    this.#process?.kill();
  }

  #launch(): void {
    clearTimeout(this.#pause);
    if (this.#asking || this.#closing || this.#process !== undefined || this.#path === undefined) return;
    this.#asking = true;
    this.#askedAtMs = Date.now();
    this.#options.source().then(
      (source) => {
        this.#asking = false;
        this.#start(source);
      },
      (error: unknown) => {
        this.#asking = false;
        this.#listener.onFailed({ kind: 'source', message: messageOf(error) });
        this.#launchLater();
      },
    );
  }

  #launchLater(): void {
    if (this.#closing || this.#path === undefined) return;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#launch(), this.#pauseMs);
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, PAUSE_MIN_MS), PAUSE_MAX_MS);
  }

  #start(source: ReplicaSource): void {
    const path = this.#path;
    if (this.#closing || path === undefined) return;
    this.#source = source;
    const marks = fileMarks(path);
    this.#ending = false;
    const started = new SyncProcessHandle(source.caFile, {
      onReport: (report) => {
        // What a process that was replaced still says is about another file.
        if (this.#process === started && this.#path === path) this.#onReport(report);
      },
      onExit: (how) => this.#onExit(how, path, marks),
    });
    this.#process = started;
    this.#sent = this.#serial;
    this.#again = false;
    const { lockPath, syncIntervalMs } = this.#options;
    const { syncUrl, authToken } = source;
    const settings = { path, lockPath, syncUrl, authToken, syncIntervalMs };
    started.send({ kind: 'start', settings, serial: this.#serial });
    this.#watch();
  }

  #onReport(report: SyncReport): void {
    this.#watch();
    if (report.kind === 'synced') {
      this.#pauseMs = PAUSE_MIN_MS;
      // The next sync is on its way before callers of this one go on.
      this.#answered(report.serial);
      this.#listener.onSynced();
      return;
    }
    clearTimeout(this.#cooling);
    this.#cooling = setTimeout(() => this.#answered(report.serial), COOLING_MS);
    const failure: FailedSync = { kind: failureKind(report.stage, report.message), message: report.message };
    this.#listener.onFailed(failure);
    switch (failure.kind) {
      case 'wait':
        // The primary may have moved meanwhile.
        if (Date.now() - this.#askedAtMs > PAUSE_MAX_MS) this.renew().catch(() => undefined);
        return;
      case 'replace':
      case 'token':
        this.#end();
        return;
      case 'copy':
      case 'source':
      case 'hung':
      case 'ended':
        // The listener chooses another file.
        return;
    }
  }

  #answered(serial: number): void {
    // A sync of the interval's that began before the demand arrived.
    if (this.#sent !== undefined && serial < this.#sent) return;
    this.#sent = undefined;
    if (!this.#again) return;
    this.#again = false;
    this.#send();
  }

  #onExit(how: string, path: string, marks: string): void {
    this.#process = undefined;
    this.#sent = undefined;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#cooling);
    if (this.#closing) return;
    if (this.#path !== path) {
      this.#launch();
      return;
    }
    if (!this.#ending) this.#listener.onFailed({ kind: 'ended', message: `the sync process ended: ${how}` });
    // One that came further is no reason to wait longer than before.
    if (fileMarks(path) !== marks) this.#pauseMs = Math.min(this.#pauseMs, PAUSE_MIN_MS);
    this.#launchLater();
  }

  #watch(): void {
    clearTimeout(this.#watchdog);
    if (this.#closing || this.#path === undefined) return;
    this.#marks = fileMarks(this.#path);
    const { answerTimeoutMs, syncIntervalMs } = this.#options;
    this.#watchdog = setTimeout(() => this.#silent(), answerTimeoutMs + syncIntervalMs);
  }

  /** A first copy is one transaction, killed it starts anew: while the file grows, no answer is no trouble. */
  #silent(): void {
    const path = this.#path;
    if (path === undefined) return;
    if (fileMarks(path) !== this.#marks) {
      this.#watch();
      return;
    }
    const message = `no answer from the sync process in ${this.#options.answerTimeoutMs} ms: the primary may hang`;
    this.#listener.onFailed({ kind: 'hung', message });
    this.#end();
  }
}
