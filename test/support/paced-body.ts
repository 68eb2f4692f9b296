/** A request body that the test holds open: `send` gives the next bytes, `end` ends it. */
export class PacedBody implements AsyncIterable<Uint8Array> {
  #waiting: ((result: IteratorResult<Uint8Array>) => void) | undefined;
  readonly #queue: (Uint8Array | null)[] = [];

  send(bytes: Uint8Array): void {
    this.#push(bytes);
  }

  end(): void {
    this.#push(null);
  }

  #push(item: Uint8Array | null): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#queue.push(item);
    else waiting(resultOf(item));
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => {
        const item = this.#queue.shift();
        if (item !== undefined) return Promise.resolve(resultOf(item));
        return new Promise((resolve) => (this.#waiting = resolve));
      },
      // undici ends the iteration when it gives the request up.
      return: () => Promise.resolve({ value: undefined, done: true }),
    };
  }
}

function resultOf(item: Uint8Array | null): IteratorResult<Uint8Array> {
  return item === null ? { value: undefined, done: true } : { value: item, done: false };
}
