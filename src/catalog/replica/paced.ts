/** Passes calls on at once, unless there are many: then no more than `most` within each `spanMs`, the last of them at its end. */
export class Paced {
  readonly #run: () => void;
  readonly #most: number;
  readonly #spanMs: number;
  #span: NodeJS.Timeout | undefined;
  #passed = 0;
  #held = false;

  constructor(run: () => void, limit: { readonly most: number; readonly spanMs: number }) {
    this.#run = run;
    this.#most = limit.most;
    this.#spanMs = limit.spanMs;
  }

  call(): void {
    this.#span ??= setTimeout(() => this.#end(), this.#spanMs);
    if (this.#passed === this.#most) {
      this.#held = true;
      return;
    }
    this.#passed += 1;
    this.#run();
  }

  /** Forgets what was not passed on yet. */
  cancel(): void {
    clearTimeout(this.#span);
    this.#span = undefined;
    this.#held = false;
    this.#passed = 0;
  }

  #end(): void {
    const held = this.#held;
    this.cancel();
    if (held) this.call();
  }
}
