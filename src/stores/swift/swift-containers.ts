import type { Backend } from '../remote/backend.js';
import type { SwiftPlaces } from './swift-places.js';

const LIST_LIMIT = 1000;
const PARALLEL_DELETES = 4;

/** The two containers of a store: making them, and clearing segments. */
export class SwiftContainers {
  readonly #backend: Backend;
  readonly #places: SwiftPlaces;

  constructor(backend: Backend, places: SwiftPlaces) {
    this.#backend = backend;
    this.#places = places;
  }

  /** Makes both unless they are there. */
  async make(signal: AbortSignal): Promise<void> {
    for (const path of [this.#places.container, this.#places.segments])
      await this.#backend.call({ method: 'PUT', path, doing: 'making a container', accept: [201, 202, 204], signal });
  }

  /** Removes the segments whose names start with the prefix, but those that start with one of `kept`. */
  async clear(prefix: string, kept: ReadonlySet<string> = new Set()): Promise<void> {
    for (let marker = ''; ; ) {
      const names = await this.#list(prefix, marker);
      const due = names.filter((name) => ![...kept].some((start) => name.startsWith(start)));
      for (let at = 0; at < due.length; at += PARALLEL_DELETES)
        await Promise.all(due.slice(at, at + PARALLEL_DELETES).map((name) => this.#remove(name)));
      if (names.length < LIST_LIMIT) return;
      marker = names.at(-1) ?? '';
    }
  }

  async #list(prefix: string, marker: string): Promise<readonly string[]> {
    const query = { prefix, marker, limit: String(LIST_LIMIT), format: 'plain' };
    const call = { method: 'GET', path: this.#places.segments, query, headers: { accept: 'text/plain' } } as const;
    // 404: nothing large was ever stored.
    const answer = await this.#backend.call({ ...call, doing: 'listing segments', accept: [200, 204, 404] });
    return answer.status === 200 ? answer.text.split('\n').filter((name) => name.startsWith(prefix)) : [];
  }

  async #remove(name: string): Promise<void> {
    const path = `${this.#places.segments}/${name}`;
    await this.#backend.call({ method: 'DELETE', path, doing: 'deleting a segment', accept: [204, 404] });
  }
}
