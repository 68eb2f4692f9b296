import { ServiceError } from '../base/service-error.js';

/** What a run is told with: when to stop, and where to say how far it is. */
export interface RunControl {
  readonly signal: AbortSignal;
  readonly report: (doneBytes: number, totalBytes: number) => void;
}

interface Run<Result> {
  readonly kind: string;
  readonly outcome: Promise<Result>;
  readonly stop: AbortController;
  /** Those who wait for it. */
  readonly reports: Set<RunControl['report']>;
}

/** Work that all who want the same wait for together. It ends early only when the last of them has left. */
export class SharedRuns<Result> {
  readonly #runs = new Map<string, Run<Result>>();

  /**
   * Does the work for the key, or joins the work that is under way for it. STATE_CONFLICT: that is of another kind. Else what the
   * work throws, or the signal's reason.
   */
  async join(
    key: string,
    kind: string,
    control: RunControl,
    work: (control: RunControl) => Promise<Result>,
  ): Promise<Result> {
    control.signal.throwIfAborted();
    const found = this.#runs.get(key);
    if (found?.stop.signal.aborted === true) {
      // Nobody waits for that one any more; two would write to the same file.
      await untilAborted(
        found.outcome.catch(() => undefined),
        control.signal,
      );
      return this.join(key, kind, control, work);
    }
    if (found !== undefined && found.kind !== kind)
      throw new ServiceError('STATE_CONFLICT', 'another call is writing something else to the same file');
    return this.#wait(found ?? this.#start(key, kind, work), control);
  }

  #start(key: string, kind: string, work: (control: RunControl) => Promise<Result>): Run<Result> {
    const stop = new AbortController();
    const reports = new Set<RunControl['report']>();
    const report = (doneBytes: number, totalBytes: number): void => {
      for (const tell of reports) tell(doneBytes, totalBytes);
    };
    const outcome = work({ signal: stop.signal, report }).finally(() => this.#runs.delete(key));
    // Those who wait hear of a failure; there may be none left.
    outcome.catch(() => undefined);
    const run = { kind, outcome, stop, reports };
    this.#runs.set(key, run);
    return run;
  }

  async #wait(run: Run<Result>, { signal, report }: RunControl): Promise<Result> {
    // Two callers may share one function.
    const mine: RunControl['report'] = (doneBytes, totalBytes) => report(doneBytes, totalBytes);
    run.reports.add(mine);
    try {
      return await untilAborted(run.outcome, signal);
    } finally {
      run.reports.delete(mine);
      if (run.reports.size === 0) run.stop.abort();
    }
  }
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let leave = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    leave = () => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', leave);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
