import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
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
  #opening: Promise<Piscina<ReaderTask, readonly Found[]>> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Runs the search in the thread. @throws ServiceError UNAVAILABLE when too many are waiting. */
  async find(request: FindRequest): Promise<readonly Found[]> {
    const pool = await (this.#opening ??= this.#open());
    if (pool.queueSize >= QUEUE_LIMIT) {
      throw new ServiceError('UNAVAILABLE', `${QUEUE_LIMIT} long lists are waiting: retry in a moment`);
    }
    return await pool.run({ kind: 'find', path: this.#path, request });
  }

  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening === undefined) return;
    const pool = await opening;
    // Queued behind the lists that wait, so they are answered first.
    await pool.run({ kind: 'close' });
    await pool.destroy();
  }

  async #open(): Promise<Piscina<ReaderTask, readonly Found[]>> {
    // Loaded when a list first needs it: many nodes have none that is long, and none has one before it is ready.
    const { Piscina: Pool } = await import('piscina');
    return new Pool<ReaderTask, readonly Found[]>({
      filename: fileURLToPath(new URL('./reader.thread.js', import.meta.url)),
      minThreads: 1,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      maxQueue: QUEUE_LIMIT,
    });
  }
}
