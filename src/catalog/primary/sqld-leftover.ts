/**
 * What a primary that was killed leaves running. A watcher ends `sqld` when its primary dies (sqld-process.ts); this is for
 * the case that the watcher died too. The leftover is ended, not adopted: the pipe of its output and the key of its admin
 * interface are lost, and two servers on one folder, which `sqld` does not prevent, would damage it.
 */
import { readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '../../base/service-error.js';
import { readLinkNote } from '../../hostfs/link-note.js';
import { startTimeOf } from '../../hostfs/process-start-time.js';

const FILE = 'sqld.pid';
const POLL_MS = 20;

/** Notes which process serves the folder, and whose it is; on a full disk, too. */
export function notePid(directory: string, pid: number): void {
  const note = [pid, startTimeOf(pid) ?? '', process.pid, startTimeOf(process.pid) ?? ''].join(' ');
  const next = join(directory, `${FILE}.next`);
  rmSync(next, { force: true });
  symlinkSync(note, next);
  renameSync(next, join(directory, FILE));
}

export function forgetPid(directory: string): void {
  rmSync(join(directory, FILE), { force: true });
}

/**
 * Ends the `sqld` that an earlier primary left on the folder. Returns its process id when there was one.
 *
 * @throws ServiceError STATE_CONFLICT when its primary is alive: two must not serve one folder.
 */
export async function endLeftover(directory: string, graceMs: number): Promise<number | undefined> {
  const note = readLinkNote(join(directory, FILE)) ?? '';
  const [pid, startTime, owner, ownerStartTime] = note.trim().split(' ');
  if (pid === undefined || startTime === undefined || startTime === '') return undefined;
  const runs = (): boolean => startTimeOf(Number(pid)) === startTime && servesFolder(Number(pid), directory);
  if (!runs()) return undefined;
  if (startTimeOf(Number(owner)) === ownerStartTime) {
    throw new ServiceError(
      'STATE_CONFLICT',
      `another primary (process ${owner ?? '?'}) serves this data folder: stop it, or name another folder`,
    );
  }
  signal(Number(pid), 'SIGTERM');
  const deadlineMs = Date.now() + graceMs;
  while (runs()) {
    if (Date.now() > deadlineMs) signal(Number(pid), 'SIGKILL');
    await sleep(POLL_MS);
  }
  forgetPid(directory);
  return Number(pid);
}

function servesFolder(pid: number, directory: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(directory);
  } catch {
    return false;
  }
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile.
  }
}
