import { ServiceError } from '../base/service-error.js';

/** Waits for what a store does, `idleMs` at most; then UNAVAILABLE, and `onStall` is called. The promise itself is left alone. */
export async function withIdleLimit<T>(
  promise: Promise<T>,
  idleMs: number,
  onStall: () => void = () => undefined,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      onStall();
      reject(new ServiceError('UNAVAILABLE', `a store said nothing for ${idleMs} ms`));
    }, idleMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
