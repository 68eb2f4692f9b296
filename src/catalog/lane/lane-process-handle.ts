import { type ChildProcess, fork } from 'node:child_process';
import { isLaneReport, type LaneRequest, type LaneSettings } from './lane-protocol.js';
import type { LaneListener, LaneWriter } from './lane-writer.js';

/** One run of the process that writes the catalog's file. */
export class LaneProcessHandle implements LaneWriter {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  constructor(settings: LaneSettings, listener: LaneListener) {
    this.#child = fork(new URL('./lane.process.js', import.meta.url), [JSON.stringify(settings)], {
      // Inherited flags such as --inspect or a test runner's loaders are not for it.
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => {
      if (isLaneReport(message)) listener.onReport(message);
    });
    this.#exited = new Promise((resolve) => {
      const end = (how: string): void => {
        resolve();
        listener.onExit(how);
      };
      let ended = false;
      this.#child.once('exit', (code, signal) => {
        if (!ended) end(signal === null ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`);
        ended = true;
      });
      // Also raised when a message cannot be sent; then `exit` follows and the operations are sent again.
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined && !ended) {
          ended = true;
          end(error.message);
        }
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(request: LaneRequest): void {
    if (this.#child.connected) this.#child.send(request);
  }

  /** Ends it at once; safe at any time, since the file is in WAL mode and operations carry their ids. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  exited(): Promise<void> {
    return this.#exited;
  }
}
