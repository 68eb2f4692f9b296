import { checkCopy } from './check-copy.js';
import type { CopyReads } from './copy-reads.js';

const SUSPECT_EVERY_MS = 60_000;

/** Looks at every page of the copy in use, at the start and when a read gives cause to; nobody waits for it. */
export class CopyVerifier {
  readonly #signal: AbortSignal;
  readonly #onProblem: (reads: CopyReads, problem: string) => void;
  #suspectedAtMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> = Promise.resolve();

  constructor(signal: AbortSignal, onProblem: (reads: CopyReads, problem: string) => void) {
    this.#signal = signal;
    this.#onProblem = onProblem;
  }

  verify(reads: CopyReads): void {
    const check = checkCopy(reads.path, this.#signal).then((problem) => {
      if (problem !== null) this.#onProblem(reads, problem);
    });
    this.#running = this.#running.then(async () => await check);
  }

  /** As `verify`, but not again and again. */
  suspect(reads: CopyReads): void {
    if (performance.now() - this.#suspectedAtMs < SUSPECT_EVERY_MS) return;
    this.#suspectedAtMs = performance.now();
    this.verify(reads);
  }

  /** Resolves when none runs any more. */
  async done(): Promise<void> {
    await this.#running;
  }
}
