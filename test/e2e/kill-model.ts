/**
 * What the kill test knows of one image: what the node acknowledged, and what was under way when it died and may have
 * happened or not.
 */
import { createHash } from 'node:crypto';
import type { ImageDocument } from '../support/rest-client.js';

export interface Content {
  readonly md5: string;
  readonly sizeBytes: number;
}

export function contentOf(bytes: Uint8Array): Content {
  return { md5: createHash('md5').update(bytes).digest('hex'), sizeBytes: bytes.byteLength };
}

/** `sure` is acknowledged; `maybe` was asked for and not answered. */
interface Known<T> {
  sure: T;
  maybe?: T;
}

export class ImageModel {
  readonly exists: Known<boolean> = { sure: false };
  readonly name: Known<string>;
  readonly content: Known<Content | null> = { sure: null };
  /** Something changed since the bytes were last compared. */
  bytesUnchecked = false;

  constructor(
    readonly id: string,
    name: string,
  ) {
    this.name = { sure: name };
  }

  /** Whether a change was asked for and not answered. */
  get isUnsettled(): boolean {
    return [this.exists, this.name, this.content].some((known) => 'maybe' in known);
  }

  /** Asks for a change: it may have happened from now on, and has happened once `change` resolves. */
  async ask<T>(known: Known<T>, value: T, change: () => Promise<void>): Promise<void> {
    known.maybe = value;
    await change();
    known.sure = value;
    delete known.maybe;
  }

  /**
   * Compares the model with what the node shows after a restart (undefined: 404) and takes over what turned out to have
   * happened. Returns what is wrong, in words.
   */
  settle(seen: ImageDocument | undefined): readonly string[] {
    const wrong: string[] = [];
    const exists = seen !== undefined;
    if (exists !== this.exists.sure && exists !== this.exists.maybe) {
      wrong.push(
        exists ? 'an image that was never created or surely deleted is there' : 'an acknowledged image is lost',
      );
    }
    this.exists.sure = exists;
    delete this.exists.maybe;
    if (seen === undefined) return wrong;

    if (seen.name !== this.name.sure && seen.name !== this.name.maybe) {
      wrong.push(`name is ${String(seen.name)}, acknowledged was ${this.name.sure}`);
    }
    this.name.sure = seen.name ?? '';
    delete this.name.maybe;
    wrong.push(...this.#settleContent(seen));
    return wrong;
  }

  #settleContent(seen: ImageDocument): readonly string[] {
    if (seen.status !== 'active' && seen.status !== 'queued') return [`status is ${seen.status} after a restart`];
    const possible = [this.content.sure, ...(this.content.maybe === undefined ? [] : [this.content.maybe])];
    const match = possible.find((content) =>
      content === null
        ? seen.status === 'queued' && seen.size === null && seen.checksum === null
        : seen.status === 'active' && seen.size === content.sizeBytes && seen.checksum === content.md5,
    );
    if (match === undefined) {
      return [`${seen.status} with size ${String(seen.size)} and checksum ${String(seen.checksum)} matches no upload`];
    }
    if (this.content.maybe !== undefined) this.bytesUnchecked = true;
    this.content.sure = match;
    delete this.content.maybe;
    return [];
  }
}
