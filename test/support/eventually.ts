import { setTimeout as pause } from 'node:timers/promises';

/** Asks again until the answer is the wanted one; fails after ten seconds, unless told, with what came last. */
export async function eventually<T>(
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
  limitMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after ${limitMs / 1000} s`);
    await pause(20);
  }
}
