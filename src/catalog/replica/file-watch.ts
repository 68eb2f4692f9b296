import type { Generations } from './generations.js';

const LOOK_EVERY_MS = 1000;

/**
 * Tells when the files of a generation are not those that were opened. Removed files stay open here and in the sync: all
 * seems well, until the next start finds an old file, or none.
 */
export class FileWatch {
  readonly #generations: Generations;
  readonly #generation: number;
  readonly #fileNumber: number | undefined;
  #lookedAtMs = 0;

  constructor(generations: Generations, generation: number) {
    this.#generations = generations;
    this.#generation = generation;
    this.#fileNumber = generations.fileNumber(generation);
  }

  /** What is wrong, in words; looks at most once a second. */
  problem(): string | undefined {
    if (performance.now() - this.#lookedAtMs < LOOK_EVERY_MS) return undefined;
    this.#lookedAtMs = performance.now();
    const missing = this.#generations.missing(this.#generation);
    if (missing !== undefined) return missing;
    const number = this.#generations.fileNumber(this.#generation);
    return number === undefined || number === this.#fileNumber ? undefined : 'another file took its place';
  }
}
