/**
 * Checks a copy page by page, as a plain reader, in a process of its own because that takes seconds; at low priority, since
 * nobody waits for it. `quick_check` leaves out only whether indexes and tables agree, which copying pages cannot break, and
 * takes half the time.
 */
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { Connection, textAt } from '../connection.js';
import type { CheckResult } from './check-copy.js';
import { messageOf, saysDamaged } from './sync-failure.js';

const LOW_PRIORITY = 10;

function main(): void {
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const die = (): boolean => process.kill(process.pid, 'SIGKILL');
  process.on('disconnect', die);
  // The node may have ended before anything here listened.
  if (!process.connected) die();
  setPriority(LOW_PRIORITY);
  report(check(process.argv[2] ?? ''));
}

function check(path: string): CheckResult {
  // The driver would make an empty file, which is a sound database.
  if (!existsSync(path)) return { kind: 'not-checked', problem: 'the copy has no file' };
  try {
    const row = new Connection(path, 'reader').get('pragma quick_check(1)');
    if (row === undefined) return { kind: 'not-checked', problem: 'quick_check has no answer' };
    const answer = textAt(row, 0);
    return answer === 'ok' ? { kind: 'sound' } : { kind: 'damaged', problem: answer };
  } catch (error) {
    return { kind: saysDamaged(error) ? 'damaged' : 'not-checked', problem: messageOf(error) };
  }
}

function report(message: CheckResult): void {
  // The node's answer to it is SIGKILL.
  process.send?.(message);
}

main();
