import type { Backend } from './backend.js';

/** What was seen so long ago is believed to be there still. */
const BELIEVED_MS = 10_000;

/** Tells a bucket or container that is gone from an object that is: both answer 404. */
export class Presence {
  readonly #backend: Backend;
  readonly #place: { readonly path: string; readonly what: string };
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(backend: Backend, place: { readonly path: string; readonly what: string }) {
    this.#backend = backend;
    this.#place = place;
  }

  /** UNAVAILABLE when it is not there; asks at most every ten seconds. */
  async check(signal?: AbortSignal): Promise<void> {
    if (performance.now() - this.#seenAt > BELIEVED_MS) await this.ask({ signal });
  }

  /** UNAVAILABLE when it is not there. */
  async ask(options: {
    readonly signal?: AbortSignal | undefined;
    readonly attempts?: number;
    readonly answerMs?: number;
  }): Promise<void> {
    const { path, what } = this.#place;
    const call = { method: 'HEAD', path, doing: `looking for its ${what}` } as const;
    const { status } = await this.#backend.call({ ...call, ...options, accept: [200, 204, 404] });
    if (status === 404) throw this.#backend.error('UNAVAILABLE', `its ${what} is not there`);
    this.#seenAt = performance.now();
  }
}
