/**
 * Keeps one `sqld` running.
 *
 *   stopped --start--> starting --ready--> up --exit--> down --pause--> starting …
 *   any --stop--> stopped
 */
import { mkdirSync } from 'node:fs';
import { ServiceError } from '../../base/service-error.js';
import type { LaneLog } from '../lane/write-lane.js';
import { loopbackPort } from './loopback-port.js';
import { endLeftover, forgetPid, notePid } from './sqld-leftover.js';
import { SqldProcess, type SqldSettings } from './sqld-process.js';

export interface SqldStatus {
  readonly up: boolean;
  /** Why it is not up, or `ok`. */
  readonly message: string;
  readonly restarts: number;
}

/** How sqld says that a port is another program's. */
const PORT_TAKEN = 'Address already in use';
const PORT_TRIES = 5;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5000;
/** A run this long was no failed start, so the next pause is short again. */
const STEADY_MS = 10_000;

export class SqldSupervisor {
  readonly #settings: SqldSettings;
  readonly #log: LaneLog;
  #current: SqldProcess | undefined;
  /** The start under way, or the last one. */
  #attempt: Promise<void> = Promise.resolve();
  #up = false;
  #stopped = false;
  #restarts = 0;
  #pauseMs = PAUSE_MIN_MS;
  #pause: NodeJS.Timeout | undefined;
  #trouble = 'sqld is being started';
  #waiting: ((sqld: SqldProcess) => void)[] = [];

  private constructor(settings: SqldSettings, log: LaneLog) {
    this.#settings = settings;
    this.#log = log;
  }

  /**
   * Starts it and resolves when it answers.
   *
   * @throws ServiceError UNAVAILABLE when its port is taken or it does not start, STATE_CONFLICT when another primary
   *   serves the folder.
   */
  static async start(settings: SqldSettings, log: LaneLog): Promise<SqldSupervisor> {
    mkdirSync(settings.directory, { recursive: true, mode: 0o750 });
    const leftover = await endLeftover(settings.directory, settings.graceMs);
    if (leftover !== undefined) log.warn({ pid: leftover }, 'catalog: ended the sqld of a primary that was killed');
    for (let tries = 1; ; tries += 1) {
      // Chosen once: replicas find it there after a restart.
      const port = await loopbackPort(settings.port);
      const supervisor = new SqldSupervisor({ ...settings, port }, log);
      try {
        supervisor.#attempt = supervisor.#run();
        await supervisor.#attempt;
        return supervisor;
      } catch (cause) {
        await supervisor.stop();
        // A port that was free when it was chosen may be another program's by the time sqld takes it.
        if (tries < PORT_TRIES && messageOf(cause).includes(PORT_TAKEN)) continue;
        throw new ServiceError('UNAVAILABLE', `the catalog's server does not start: ${messageOf(cause)}`, { cause });
      }
    }
  }

  get port(): number {
    return this.#settings.port;
  }

  get pid(): number | undefined {
    return this.#current?.pid;
  }

  /** The run that is up, as soon as there is one. @throws ServiceError UNAVAILABLE when there is none in time. */
  async running(timeoutMs: number): Promise<SqldProcess> {
    if (this.#current !== undefined && this.#up && !this.#current.ended) return this.#current;
    return await new Promise((resolve, reject) => {
      const wake = (sqld: SqldProcess): void => {
        clearTimeout(deadline);
        resolve(sqld);
      };
      const deadline = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== wake);
        reject(new ServiceError('UNAVAILABLE', `${this.#trouble}; it is started again and again: retry later`));
      }, timeoutMs);
      this.#waiting.push(wake);
    });
  }

  /** Ends the run that is up, so that another one takes its place. */
  restart(why: string): void {
    this.#log.warn({ why, pid: this.pid ?? 0 }, 'catalog: sqld is restarted');
    this.#current?.stop().catch(() => undefined);
  }

  status(): SqldStatus {
    return { up: this.#up, message: this.#up ? 'ok' : this.#trouble, restarts: this.#restarts };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#pause);
    await this.#current?.stop();
    // A start that was just beginning ends its process itself.
    await this.#attempt.catch(() => undefined);
    forgetPid(this.#settings.directory);
  }

  async #run(): Promise<void> {
    const sqld = await SqldProcess.start(this.#settings);
    if (this.#stopped) {
      await sqld.stop();
      return;
    }
    this.#current = sqld;
    try {
      this.#note(sqld.pid);
      await sqld.ready();
    } catch (error) {
      await sqld.stop();
      throw error;
    }
    const upSinceMs = Date.now();
    this.#up = true;
    void sqld.exited.then((how) => {
      if (Date.now() - upSinceMs > STEADY_MS) this.#pauseMs = PAUSE_MIN_MS;
      this.#down(`sqld ended (${how})`, sqld.output);
    });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake(sqld);
  }

  /** The catalog is served also without the note, which is for the case that the watcher dies, too. */
  #note(pid: number | undefined): void {
    if (pid === undefined) return;
    try {
      notePid(this.#settings.directory, pid);
    } catch (error) {
      this.#log.warn({ pid, problem: messageOf(error) }, 'catalog: the process id of sqld could not be noted');
    }
  }

  #down(trouble: string, output: string): void {
    this.#up = false;
    if (this.#stopped) return;
    this.#trouble = trouble;
    this.#restarts += 1;
    this.#log.warn({ trouble, output, pauseMs: this.#pauseMs }, 'catalog: sqld is down and will be started again');
    this.#pause = setTimeout(() => {
      this.#attempt = this.#run().catch((error: unknown) => this.#down(messageOf(error), ''));
    }, this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MAX_MS);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
