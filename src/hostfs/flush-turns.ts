/**
 * Takes turns at flushing. A flush holds one of libuv's four threads for as long as the disk needs, often seconds; with
 * every thread in a flush no read would get through, so that at most two flush at once in the process.
 */
const MAX_FLUSHES = 2;

let running = 0;
const waiting: (() => void)[] = [];

/** Runs the flush once fewer than two others run. */
export async function flushInTurn(flush: () => Promise<void>): Promise<void> {
  if (running >= MAX_FLUSHES) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    await flush();
  } finally {
    // The turn passes straight to the next, so that `running` never dips and lets a newcomer overtake.
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}
