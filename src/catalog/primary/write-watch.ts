/**
 * Tells a write that takes long from one that will never end. `sqld` can wedge: reads are answered, every write hangs until
 * it is restarted (reference libsql.md, finding 5).
 *
 *   a write is sent --5 s without an answer--> suspected --3 looks, 2 s apart, none of which finds it at work--> hopeless
 *
 * At work is a server with a thread that runs or waits for the disk: a commit behind writeback, or a long migration. A look
 * also reads, so that the log tells a wedge from a server that is stopped.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WatchTimes {
  readonly suspectAfterMs: number;
  readonly lookEveryMs: number;
}

export const WATCH_TIMES: WatchTimes = { suspectAfterMs: 5000, lookEveryMs: 2000 };
const LOOKS = 3;

export interface Watched {
  readonly isWorking: () => boolean;
  /** Whether a read is answered, soon. */
  readonly canRead: () => Promise<boolean>;
  readonly onHopeless: (why: string) => void;
}

/** Resolves and rejects as the write does; calls `onHopeless` once when it will not. */
export async function watchWrite<T>(write: Promise<T>, watched: Watched, times: WatchTimes): Promise<T> {
  const ended = new AbortController();
  void look(watched, times, ended.signal);
  try {
    return await write;
  } finally {
    ended.abort();
  }
}

async function look(watched: Watched, times: WatchTimes, signal: AbortSignal): Promise<void> {
  try {
    await sleep(times.suspectAfterMs, undefined, { signal });
    for (let idle = 0; idle < LOOKS; ) {
      await sleep(times.lookEveryMs, undefined, { signal });
      idle = watched.isWorking() ? 0 : idle + 1;
    }
    const reads = await watched.canRead();
    if (!signal.aborted) watched.onHopeless(reads ? 'reads are answered, a write is not' : 'nothing is answered');
  } catch {
    // The write has ended.
  }
}
