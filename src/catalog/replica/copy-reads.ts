import { existsSync } from 'node:fs';
import type { CatalogReader } from '../../application/ports/catalog.js';
import type { ImageQuery } from '../../domain/image-query.js';
import type { Image } from '../../domain/image.js';
import { Connection } from '../connection.js';
import { FileReads } from '../file-reads.js';
import { factsOf, type FileFacts } from './file-facts.js';

/** The reads of one generation, and how many of them are running. */
export class CopyReads {
  readonly generation: number;
  readonly path: string;
  /** What it said of itself when it was opened. */
  readonly factsAtOpen: FileFacts;
  readonly #reads: FileReads;
  readonly #facts: Connection;
  #running = 0;
  #idle: (() => void) | undefined;

  /** Throws when the file is absent or is no database; a damaged one may be found out only by a read. */
  constructor(path: string, generation: number) {
    // The driver would make an empty file.
    if (!existsSync(path)) throw new Error('the copy has no file');
    this.generation = generation;
    this.path = path;
    this.#facts = new Connection(path, 'reader');
    try {
      this.factsAtOpen = factsOf(this.#facts);
      this.#reads = new FileReads(path);
    } catch (error) {
      this.#facts.close();
      throw error;
    }
  }

  facts(): FileFacts {
    return factsOf(this.#facts);
  }

  read<T>(query: (reader: CatalogReader) => T): T {
    return this.#reads.read(query);
  }

  async listImages(query: ImageQuery): Promise<readonly Image[]> {
    this.#running += 1;
    try {
      return await this.#reads.listImages(query);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** Closes it once its running reads are done; the caller starts no more. */
  async close(): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#reads.close();
    this.#facts.close();
  }
}
