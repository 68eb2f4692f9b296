import { setTimeout as pause } from 'node:timers/promises';

/** Asks again until the answer is the wanted one; fails after ten seconds with what came last. */
export async function eventually<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after 10 s`);
    await pause(20);
  }
}
