/**
 * Checks a copy page by page, as a plain reader, in a process of its own because that takes seconds; at low priority, since
 * nobody waits for it. `quick_check` leaves out only whether indexes and tables agree, which copying pages cannot break, and
 * takes half the time.
 */
import { setPriority } from 'node:os';
import { Connection, textAt } from '../connection.js';
import type { CheckReport } from './check-copy.js';
import { messageOf } from './sync-failure.js';

const LOW_PRIORITY = 10;

function main(): void {
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  setPriority(LOW_PRIORITY);
  report({ problem: problemOf(process.argv[2] ?? '') });
}

function problemOf(path: string): string | null {
  try {
    const row = new Connection(path, 'reader').get('pragma quick_check(1)');
    const answer = row === undefined ? 'no answer' : textAt(row, 0);
    return answer === 'ok' ? null : answer;
  } catch (error) {
    return messageOf(error);
  }
}

function report(message: CheckReport): void {
  // The node's answer to it is SIGKILL.
  process.send?.(message);
}

main();
