/**
 * A source of unknown size, cut into the parts (S3) or segments (Swift) of one large object. What fits into one part goes
 * as one request. A part is kept in memory until the service has it, so that it can be sent again; that is all the memory
 * there is: at most two parts under way and one that fills.
 */
import { createHash, type Hash } from 'node:crypto';
import { MIB } from '../../base/units.js';
import { pullSource } from '../pull-source.js';

export interface Part {
  /** Counts from 1. */
  readonly number: number;
  readonly slabs: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** The sink's hash of the bytes. */
  readonly digest: Buffer;
}

/** Where the parts go; after `begin`, either `finish` or `giveUp` is the last call. */
export interface PartSink {
  readonly hash: 'md5' | 'sha256';
  /** Publishes the whole object, which is this part alone. */
  whole(part: Part, signal: AbortSignal): Promise<void>;
  begin(signal: AbortSignal): Promise<void>;
  send(part: Part, signal: AbortSignal): Promise<void>;
  /** Publishes the object made of all parts. */
  finish(signal: AbortSignal): Promise<void>;
  /** Removes the parts; called when none is under way. */
  giveUp(): Promise<void>;
}

const SLAB_BYTES = MIB;
/** Services take 10 000 parts (Amazon S3, "Multipart upload limits"): these sizes make 1.1 TiB of them. */
const GROWING = [
  { upTo: 500, sizeBytes: 8 * MIB },
  { upTo: 1500, sizeBytes: 32 * MIB },
  { upTo: Number.POSITIVE_INFINITY, sizeBytes: 128 * MIB },
];
/** Parts larger than this go one at a time. */
const PARALLEL_UP_TO_BYTES = 32 * MIB;

/** Size of a part: the same for all where the size of the object is known, else growing. */
export function partBytes(number: number, expectedSizeBytes: number | undefined): number {
  if (expectedSizeBytes !== undefined)
    return Math.max(8 * MIB, Math.ceil(expectedSizeBytes / 9000 / SLAB_BYTES) * SLAB_BYTES);
  return GROWING.find(({ upTo }) => number <= upTo)?.sizeBytes ?? 128 * MIB;
}

/** Sends the source to the sink; nothing is left when it rejects, as far as the sink can. Resolves with the size. */
export async function uploadInParts(
  source: AsyncIterable<Uint8Array>,
  sink: PartSink,
  options: { readonly signal: AbortSignal; readonly expectedSizeBytes?: number },
): Promise<number> {
  const upload = new PartUpload(sink, options.expectedSizeBytes);
  const forward = (): void => upload.stop.abort(options.signal.reason);
  options.signal.addEventListener('abort', forward, { once: true });
  try {
    options.signal.throwIfAborted();
    await pullSource(source, upload.stop.signal, (chunk) => upload.take(chunk));
    return await upload.end();
  } catch (error) {
    await upload.giveUp(error);
    throw error;
  } finally {
    options.signal.removeEventListener('abort', forward);
  }
}

class PartUpload {
  /** Aborted when a part failed, which ends the pull of a source that is silent. */
  readonly stop = new AbortController();
  readonly #sink: PartSink;
  readonly #expectedSizeBytes: number | undefined;
  readonly #running = new Set<Promise<void>>();
  readonly #free: Buffer[] = [];
  #filling: Filling;
  #sizeBytes = 0;
  #begun = false;

  constructor(sink: PartSink, expectedSizeBytes: number | undefined) {
    this.#sink = sink;
    this.#expectedSizeBytes = expectedSizeBytes;
    this.#filling = this.#nextPart(1);
  }

  async take(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length; ) {
      // A full part goes when more comes: only then is it known that it is not the last.
      if (this.#filling.isFull) await this.#dispatch();
      offset += this.#filling.add(chunk, offset, this.#free);
    }
    this.#sizeBytes += chunk.length;
  }

  async end(): Promise<number> {
    if (this.#begun) {
      await this.#dispatch();
      await this.#settled();
      this.stop.signal.throwIfAborted();
      await this.#sink.finish(this.stop.signal);
    } else {
      await this.#sink.whole(this.#filling.part(), this.stop.signal);
    }
    return this.#sizeBytes;
  }

  async giveUp(reason: unknown): Promise<void> {
    this.stop.abort(reason);
    await this.#settled();
    // The first error is what the caller must hear; what cannot be removed now goes when the key is deleted.
    if (this.#begun) await this.#sink.giveUp().catch(() => undefined);
  }

  async #dispatch(): Promise<void> {
    const { signal } = this.stop;
    if (!this.#begun) {
      await this.#sink.begin(signal);
      this.#begun = true;
    }
    const part = this.#filling.part();
    const parallel = part.sizeBytes > PARALLEL_UP_TO_BYTES ? 1 : 2;
    while (this.#running.size >= parallel) await Promise.race(this.#running);
    signal.throwIfAborted();
    const slabs = this.#filling.slabs;
    const sending: Promise<void> = this.#sink
      .send(part, signal)
      .then(
        () => void this.#free.push(...slabs),
        (error: unknown) => this.stop.abort(error),
      )
      .finally(() => this.#running.delete(sending));
    this.#running.add(sending);
    this.#filling = this.#nextPart(part.number + 1);
  }

  async #settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #nextPart(number: number): Filling {
    return new Filling(number, partBytes(number, this.#expectedSizeBytes), createHash(this.#sink.hash));
  }
}

/** A part that fills. */
class Filling {
  readonly slabs: Buffer[] = [];
  readonly #number: number;
  readonly #capacityBytes: number;
  readonly #hash: Hash;
  #sizeBytes = 0;

  constructor(number: number, capacityBytes: number, hash: Hash) {
    this.#number = number;
    this.#capacityBytes = capacityBytes;
    this.#hash = hash;
  }

  get isFull(): boolean {
    return this.#sizeBytes === this.#capacityBytes;
  }

  /** Copies what fits into one slab and returns how much that was. */
  add(chunk: Uint8Array, offset: number, free: Buffer[]): number {
    const at = this.#sizeBytes % SLAB_BYTES;
    if (at === 0) this.slabs.push(free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES));
    const slab = this.slabs.at(-1) ?? Buffer.alloc(0);
    const lengthBytes = Math.min(chunk.length - offset, SLAB_BYTES - at);
    slab.set(chunk.subarray(offset, offset + lengthBytes), at);
    this.#hash.update(slab.subarray(at, at + lengthBytes));
    this.#sizeBytes += lengthBytes;
    return lengthBytes;
  }

  part(): Part {
    const rest = this.#sizeBytes % SLAB_BYTES;
    const slabs = this.slabs.map((slab, index) =>
      rest > 0 && index === this.slabs.length - 1 ? slab.subarray(0, rest) : slab,
    );
    return { number: this.#number, slabs, sizeBytes: this.#sizeBytes, digest: this.#hash.digest() };
  }
}
