import { fileURLToPath } from 'node:url';
import type { Piscina } from 'piscina';
import type { UnitCopier } from '../../application/ports/unit-copier.js';
import { ServiceError } from '../../base/service-error.js';
import type { CopyAnswer, CopyTask } from './copy-protocol.js';

/** One reads while another writes; more gain nothing, since writes to one file take turns. */
const THREADS = 2;
const IDLE_MS = 30_000;
const QUEUE_LIMIT = 1000;

type CopyPool = Piscina<CopyTask, CopyAnswer>;

/** A pool of threads that starts with the first batch. */
export function createUnitCopier(): UnitCopier {
  let opening: Promise<CopyPool> | undefined;
  return {
    atATime: THREADS,
    async copy(from, to, units) {
      const pool = await (opening ??= openPool());
      if (pool.queueSize >= QUEUE_LIMIT)
        throw new ServiceError('UNAVAILABLE', `${QUEUE_LIMIT} copies to files are waiting: retry in a moment`);
      // A view would take all of its memory with it to the thread.
      const owned = units.map((unit) => ({
        ...unit,
        digest: unit.digest === null ? null : Uint8Array.from(unit.digest),
      }));
      const copied = await pool.run({ from, to, units: owned });
      if ('code' in copied) throw Object.assign(new Error(copied.message), { code: copied.code });
      return copied;
    },
    async close() {
      const pool = await opening;
      await pool?.close();
    },
  };
}

async function openPool(): Promise<CopyPool> {
  const { Piscina: Pool } = await import('piscina');
  return new Pool<CopyTask, CopyAnswer>({
    filename: fileURLToPath(new URL('./copy.thread.js', import.meta.url)),
    minThreads: 0,
    maxThreads: THREADS,
    idleTimeout: IDLE_MS,
    maxQueue: QUEUE_LIMIT,
  });
}
