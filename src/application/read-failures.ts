import type { ImageId } from '../base/brand.js';

/** Images whose failures are remembered; beyond that the oldest get more attempts than others. */
const IMAGES_MAX = 10_000;

/** How often data that an image waits for could not be read since the node started. Failures of other kinds do not count. */
export class ReadFailures {
  readonly #counts = new Map<ImageId, number>();

  /** Notes one more, and returns how many there were. */
  note(imageId: ImageId): number {
    const count = (this.#counts.get(imageId) ?? 0) + 1;
    this.#counts.delete(imageId);
    this.#counts.set(imageId, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > IMAGES_MAX && oldest !== undefined) this.#counts.delete(oldest);
    return count;
  }

  forget(imageId: ImageId): void {
    this.#counts.delete(imageId);
  }
}
