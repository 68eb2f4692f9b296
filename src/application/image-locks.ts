import type { ImageId } from '../base/brand.js';

/**
 * Runs changes of one image one after the other, in the order they came. The guards in the catalog keep them right anyway;
 * the queue keeps callers who patch the same image from failing against each other again and again.
 */
export class ImageLocks {
  readonly #tails = new Map<ImageId, Promise<unknown>>();

  async run<T>(id: ImageId, change: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(id);
    const mine = before === undefined ? change() : before.then(change, change);
    this.#tails.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(id) === mine) this.#tails.delete(id);
    }
  }
}
