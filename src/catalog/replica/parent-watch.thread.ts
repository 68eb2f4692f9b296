/**
 * Ends its process when the parent is gone. In a thread, because a sync blocks the process's own loop, for ever when the
 * primary hangs, and the replica's lock would stay taken.
 */
import { workerData } from 'node:worker_threads';

const LOOK_EVERY_MS = 1000;

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL');
}, LOOK_EVERY_MS);
