import type { Timer } from '../application/ports/clock.js';

/** The timers of Node. */
export const systemTimer: Timer = {
  elapsedMs: () => performance.now(),
  schedule(wake, delayMs) {
    const timer = setTimeout(wake, delayMs);
    return () => clearTimeout(timer);
  },
};
