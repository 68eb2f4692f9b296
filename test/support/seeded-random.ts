import { createCipheriv, createHash } from 'node:crypto';

/** A stream of chances that a printed seed repeats (mulberry32). */
export class SeededRandom {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** An integer of [least, most]. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** A version 4 UUID. */
  uuid(): string {
    const hex = createHash('sha256').update(String(this.next())).update(String(this.seed)).digest('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }

  /** Bytes without a pattern, with a hole of zeros in the middle when they are many. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    const key = createHash('sha256').update(String(this.next())).digest();
    const bytes = Uint8Array.from(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count)));
    if (count > 512 * 1024) bytes.fill(0, 128 * 1024, 320 * 1024);
    return bytes;
  }
}

/** The seed of the environment (ORIEL_SEED), else one drawn now. */
export function testSeed(): number {
  const given = process.env['ORIEL_SEED'];
  return given === undefined ? Math.floor(Math.random() * 4_294_967_296) : Number(given);
}
