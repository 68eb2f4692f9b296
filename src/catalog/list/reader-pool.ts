import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { ServiceError } from '../../base/service-error.js';
import type { FindRequest } from './find-images.js';
import type { ReaderTask } from './reader.thread.js';
import type { Found } from './search.js';

const QUEUE_LIMIT = 1000;

/**
 * One thread for the lists that may take over 10 ms. A thread that is terminated with an open libsql handle aborts the
 * whole process (reference libsql.md), so it lives as long as the pool and is told to close its handle first.
 */
export class ReaderPool {
  readonly #path: string;
  #pool: Piscina<ReaderTask, readonly Found[]> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Runs the search in the thread. @throws ServiceError UNAVAILABLE when too many are waiting. */
  async find(request: FindRequest): Promise<readonly Found[]> {
    this.#pool ??= new Piscina({
      filename: fileURLToPath(new URL('./reader.thread.js', import.meta.url)),
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      maxQueue: QUEUE_LIMIT,
    });
    if (this.#pool.queueSize >= QUEUE_LIMIT) {
      throw new ServiceError('UNAVAILABLE', `${QUEUE_LIMIT} long lists are waiting: retry in a moment`);
    }
    return await this.#pool.run({ kind: 'find', path: this.#path, request });
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool === undefined) return;
    // Queued behind the lists that wait, so they are answered first.
    await pool.run({ kind: 'close' });
    await pool.destroy();
  }
}
