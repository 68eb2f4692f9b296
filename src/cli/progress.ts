import { performance } from 'node:perf_hooks';
import { SingleBar } from 'cli-progress';
import type { OutputStream } from './deps.js';
import { bytesText } from './output.js';

/** Shows how far a transfer is. */
export interface Progress {
  add(bytes: number): void;
  stop(): void;
}

const SILENT: Progress = { add: () => undefined, stop: () => undefined };

/** A bar with rate and time left on a terminal; nothing elsewhere. `totalBytes` null: the end is not known. */
export function startProgress(stream: OutputStream, verb: string, totalBytes: number | null): Progress {
  if (stream.isTTY !== true) return SILENT;
  const known = '{verb} {bar} {percentage}% | {done} of {size} | {rate}/s | ETA {eta_formatted}';
  const format = totalBytes === null ? '{verb} {done} | {rate}/s' : known;
  const bar = new SingleBar({ format, stream, hideCursor: true, barCompleteChar: '█', barIncompleteChar: '░' });
  const startedMs = performance.now();
  let done = 0;
  const facts = () => {
    const seconds = Math.max(0.001, (performance.now() - startedMs) / 1000);
    return { verb, done: bytesText(done), size: bytesText(totalBytes ?? 0), rate: bytesText(done / seconds) };
  };
  bar.start(totalBytes ?? 0, 0, facts());
  return {
    add(bytes) {
      done += bytes;
      bar.update(done, facts());
    },
    stop: () => bar.stop(),
  };
}
