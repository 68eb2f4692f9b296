import { setTimeout as pause } from 'node:timers/promises';
import { checkCopy } from './check-copy.js';
import type { CopyReads } from './copy-reads.js';
import type { ReplicaLog } from './replica-log.js';

const SUSPECT_EVERY_MS = 60_000;
/** The pauses before a check that could not be made is tried again: longer and longer ones. */
const AGAIN_MIN_MS = 1000;
const AGAIN_MAX_MS = 600_000;

export interface VerifierParts {
  readonly signal: AbortSignal;
  readonly log: ReplicaLog;
  /** Tells whether these reads are still in use. */
  readonly inUse: (reads: CopyReads) => boolean;
  readonly onDamage: (reads: CopyReads, problem: string) => void;
}

/** Looks at every page of the copy in use, at the start and when a read gives cause to; nobody waits for it. */
export class CopyVerifier {
  readonly #parts: VerifierParts;
  /** What is being checked, or waits to be checked again. */
  readonly #checking = new Set<CopyReads>();
  #suspectedAtMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  verify(reads: CopyReads): void {
    if (this.#checking.has(reads)) return;
    this.#checking.add(reads);
    const check = this.#check(reads).finally(() => this.#checking.delete(reads));
    this.#running = this.#running.then(async () => await check);
  }

  /** As `verify`, but not again and again. */
  suspect(reads: CopyReads): void {
    if (this.#checking.has(reads) || performance.now() - this.#suspectedAtMs < SUSPECT_EVERY_MS) return;
    this.#suspectedAtMs = performance.now();
    this.verify(reads);
  }

  /** Resolves when none runs any more. */
  async done(): Promise<void> {
    await this.#running;
  }

  async #check(reads: CopyReads): Promise<void> {
    const { signal, log, inUse, onDamage } = this.#parts;
    for (let pauseMs = AGAIN_MIN_MS; inUse(reads); pauseMs = Math.min(pauseMs * 2, AGAIN_MAX_MS)) {
      const result = await checkCopy(reads.path, signal);
      if (signal.aborted) return;
      if (result.kind === 'damaged') onDamage(reads, result.problem);
      if (result.kind !== 'not-checked') return;
      log.warn({ problem: result.problem, pauseMs }, 'catalog: the copy could not be checked; it is tried again');
      await pause(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
