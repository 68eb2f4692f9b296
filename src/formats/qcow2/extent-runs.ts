import { UNIT_BYTES } from '../../base/units.js';

/** A run of the disk. Zeros may be of any length, data of at most 1 MiB. */
export type Extent =
  | { readonly kind: 'zero'; readonly lengthBytes: number }
  | { readonly kind: 'data'; readonly lengthBytes: number; readonly fileOffsetBytes: number }
  | {
      readonly kind: 'deflated';
      readonly lengthBytes: number;
      readonly fileOffsetBytes: number;
      /** At most; the rest of the last sector is something else's. */
      readonly storedBytes: number;
    };

/** Joins what lies one after the other. A table of nothing costs no memory, however many entries it has. */
export class ExtentRuns {
  #ready: Extent[] = [];
  #zeroBytes = 0;
  #dataBytes = 0;
  #dataOffsetBytes = 0;

  zero(lengthBytes: number): void {
    if (this.#dataBytes > 0) this.#endData();
    this.#zeroBytes += lengthBytes;
  }

  data(lengthBytes: number, fileOffsetBytes: number): void {
    if (this.#zeroBytes > 0) this.#endZeros();
    const continues = this.#dataBytes > 0 && this.#dataOffsetBytes + this.#dataBytes === fileOffsetBytes;
    if (this.#dataBytes > 0 && !continues) this.#endData();
    if (!continues) this.#dataOffsetBytes = fileOffsetBytes;
    this.#dataBytes += lengthBytes;
    while (this.#dataBytes > UNIT_BYTES) this.#giveData(UNIT_BYTES);
  }

  deflated(extent: Extent & { readonly kind: 'deflated' }): void {
    this.#endLast();
    this.#ready.push(extent);
  }

  /** What no longer grows. */
  take(): readonly Extent[] {
    const ready = this.#ready;
    if (ready.length > 0) this.#ready = [];
    return ready;
  }

  /** All that is left. */
  end(): readonly Extent[] {
    this.#endLast();
    return this.take();
  }

  #endLast(): void {
    if (this.#zeroBytes > 0) this.#endZeros();
    if (this.#dataBytes > 0) this.#endData();
  }

  #endZeros(): void {
    this.#ready.push({ kind: 'zero', lengthBytes: this.#zeroBytes });
    this.#zeroBytes = 0;
  }

  #endData(): void {
    this.#giveData(this.#dataBytes);
  }

  #giveData(lengthBytes: number): void {
    this.#ready.push({ kind: 'data', lengthBytes, fileOffsetBytes: this.#dataOffsetBytes });
    this.#dataOffsetBytes += lengthBytes;
    this.#dataBytes -= lengthBytes;
  }
}
