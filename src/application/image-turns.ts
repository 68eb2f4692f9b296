import type { ImageId } from '../base/brand.js';
import type { Image } from '../domain/image.js';

/** An image as it will be once a write that is under way is committed. */
export interface PendingImage {
  readonly image: Image;
  /** Resolves when the write has ended: true when it was committed. */
  readonly committed: Promise<boolean>;
}

/**
 * Lets the changes of one image decide one after the other, in the order they came. A change that touches the image's row
 * alone leaves behind what it will make of it, so that the next one decides on that instead of waiting for the disk: many
 * patches of one image share a commit. The guards in the catalog keep them right anyway.
 */
export class ImageTurns {
  readonly #tails = new Map<ImageId, Promise<unknown>>();
  readonly #pending = new Map<ImageId, PendingImage>();

  async run<T>(id: ImageId, turn: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(id);
    const mine = before === undefined ? turn() : before.then(turn, turn);
    this.#tails.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(id) === mine) this.#tails.delete(id);
    }
  }

  /** What the change before is about to make of the image; undefined when nothing is under way. */
  pending(id: ImageId): PendingImage | undefined {
    return this.#pending.get(id);
  }

  /** Leaves what the write makes of the image to the next change, until it ends or another one follows. */
  leave(image: Image, write: Promise<unknown>): void {
    const forget = (committed: boolean): boolean => {
      // After a failure nothing that was decided on top of it holds either.
      if (!committed || this.#pending.get(image.id) === pending) this.#pending.delete(image.id);
      return committed;
    };
    const pending: PendingImage = {
      image,
      committed: write.then(
        () => forget(true),
        () => forget(false),
      ),
    };
    this.#pending.set(image.id, pending);
  }
}
