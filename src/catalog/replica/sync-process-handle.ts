import { type ChildProcess, fork } from 'node:child_process';
import { isSyncReport, type SyncReport, type SyncRequest } from './sync-protocol.js';

/** The last words of a process that are kept for the log. */
const TAIL_CHARACTERS = 1000;

export interface SyncProcessListener {
  onReport(report: SyncReport): void;
  /** It is gone, for whatever reason; nothing follows. */
  onExit(how: string): void;
}

/** One run of the process that syncs the replica. */
export class SyncProcessHandle {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #tail = '';

  /** `caFile`: certificates to trust instead of the system's. */
  constructor(caFile: string | undefined, listener: SyncProcessListener) {
    this.#child = fork(new URL('./sync.process.js', import.meta.url), [String(process.pid)], {
      execArgv: [],
      // libSQL writes its tracing to the process's own output: off, and apart from the node's logs in any case.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // It needs nothing of the node's environment. rustls takes its roots from SSL_CERT_FILE (reference libsql.md, 5).
      env: { RUST_LOG: 'off', ...(caFile === undefined ? {} : { SSL_CERT_FILE: caFile }) },
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#tail = (this.#tail + text).slice(-TAIL_CHARACTERS);
    });
    this.#child.on('message', (message) => {
      if (isSyncReport(message)) listener.onReport(message);
    });
    this.#exited = new Promise((resolve) => {
      let ended = false;
      const end = (how: string): void => {
        if (ended) return;
        ended = true;
        resolve();
        listener.onExit(this.#tail === '' ? how : `${how}: ${this.#tail.trim()}`);
      };
      this.#child.once('exit', (code, signal) => end(signal === null ? `exit code ${code ?? 'unknown'}` : signal));
      // Also raised when a message cannot be sent; then `exit` follows.
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined) end(error.message);
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(request: SyncRequest): void {
    if (this.#child.connected) this.#child.send(request);
  }

  /** Ends it at once; safe at any time (reference libsql.md, 4). */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  exited(): Promise<void> {
    return this.#exited;
  }
}
