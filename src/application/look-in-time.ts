import { ServiceError } from '../base/service-error.js';
import type { Timer } from './ports/clock.js';

/** UNAVAILABLE: the look has not ended by then. Its signal fires; what it does later is nobody's concern. */
export async function lookInTime<T>(
  timer: Timer,
  untilMs: number,
  look: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const end = (): void => {
      const error = new ServiceError('UNAVAILABLE', 'url: the object takes too long to be looked at');
      stop.abort(error);
      reject(error);
    };
    cancel = timer.schedule(end, Math.max(0, untilMs - timer.elapsedMs()));
  });
  try {
    return await Promise.race([look(stop.signal), late]);
  } finally {
    cancel();
  }
}
