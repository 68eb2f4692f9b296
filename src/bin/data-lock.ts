import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ServiceError } from '../base/service-error.js';
import { errnoOf } from '../hostfs/fs-error.js';
import { startTimeOf } from '../hostfs/process-start-time.js';

/** Holds a data folder for this process until it is released. */
export interface DataLock {
  release(): void;
}

/**
 * Takes the data folder for this process, so that no second node starts on it. A lock that a dead process left behind is
 * taken over. STATE_CONFLICT: a node runs on the folder. UNAVAILABLE: it cannot be made.
 */
export function lockDataFolder(dataDir: string): DataLock {
  makeFolder(resolve(dataDir));
  const file = join(dataDir, 'oriel.lock');
  const mine = `${process.pid} ${startTimeOf(process.pid) ?? ''}`;
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      // A symbolic link to nowhere is made at once, and needs no room for data: a node starts on a full disk, to serve reads.
      symlinkSync(mine, file);
      return { release: () => rmSync(file, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = holderIn(file);
    if (runs(holder))
      throw new ServiceError(
        'STATE_CONFLICT',
        `another node runs on the data folder ${dataDir} (process ${holder.split(' ')[0] ?? '?'}): stop it, or name another folder by --data`,
      );
    rmSync(file, { force: true });
  }
  throw new ServiceError('STATE_CONFLICT', `another node is starting on the data folder ${dataDir}`);
}

/** Who has the lock; empty: it was released meanwhile. */
function holderIn(file: string): string {
  try {
    return readlinkSync(file);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT') return '';
    // Locks of 0.1 were files.
    if (code === 'EINVAL') return readFileSync(file, 'utf8');
    throw error;
  }
}

function runs(holder: string): boolean {
  const [pid, startTime] = holder.trim().split(' ');
  const current = startTimeOf(Number(pid));
  return current !== undefined && current === startTime;
}

// One folder after the other: a recursive mkdir of Node 20 never returns below a folder that takes no entries and says ENOENT,
// as /proc does.
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o750 });
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'EEXIST') return;
    const message = `the data folder ${path} cannot be made (${code ?? String(cause)}): name another by --data`;
    throw new ServiceError('UNAVAILABLE', message, { cause });
  }
}
