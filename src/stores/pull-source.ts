/**
 * Hands every chunk of the source to `take`, one at a time, and stops at once when the signal aborts, even while the source
 * is silent. Rejects with the signal's reason, or with what the source or `take` threw; the source is closed in each case.
 */
export async function pullSource(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const iterator = source[Symbol.asyncIterator]();
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted');
  });
  signal.addEventListener('abort', onAbort, { once: true });
  let ended = false;
  try {
    for (;;) {
      const next = iterator.next();
      const result = await Promise.race([next, aborted]);
      if (result === 'aborted') {
        // The pending chunk comes too late for anybody; its failure says nothing that the abort does not.
        next.catch(() => undefined);
        break;
      }
      if (result.done === true) {
        ended = true;
        return;
      }
      await take(result.value);
      if (signal.aborted) break;
    }
  } catch (error) {
    closeSource(iterator);
    ended = true;
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (!ended) closeSource(iterator);
  }
  signal.throwIfAborted();
}

/** Not awaited: a generator that waits for its own source would answer only when that does. */
function closeSource(iterator: AsyncIterator<Uint8Array>): void {
  // What closing fails with is of no use: the put has failed already, with the reason that counts.
  iterator.return?.().catch(() => undefined);
}
