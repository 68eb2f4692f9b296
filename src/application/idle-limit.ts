import { ServiceError } from '../base/service-error.js';
import type { Timer } from './ports/clock.js';

/** How long a store may say nothing, in milliseconds, by which clock. */
export interface IdleLimit {
  readonly timer: Timer;
  readonly storeIdleMs: number;
}

/** Waits for what a store does, as long as the limit says; then UNAVAILABLE. The promise itself is left alone. */
export async function withIdleLimit<T>(promise: Promise<T>, { timer, storeIdleMs }: IdleLimit): Promise<T> {
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = timer.schedule(() => {
      reject(new ServiceError('UNAVAILABLE', `a store said nothing for ${storeIdleMs} ms`));
    }, storeIdleMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
