import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../base/service-error.js';
import { makeFolder } from '../hostfs/folder.js';
import { errnoOf } from '../hostfs/fs-error.js';
import { readLinkNote } from '../hostfs/link-note.js';
import { startTimeOf } from '../hostfs/process-start-time.js';

/** Holds a data folder for this process until it is released. */
export interface DataLock {
  release(): void;
}

/**
 * Takes the data folder for this process, so that no second node starts on it; makes it if need be. A lock that a dead process left
 * behind is taken over. STATE_CONFLICT: a node runs on the folder.
 */
export async function lockDataFolder(dataDir: string): Promise<DataLock> {
  await makeFolder(dataDir);
  return takeLock(dataDir);
}

/** The same for a folder that is there. */
export function takeLock(dataDir: string): DataLock {
  const file = join(dataDir, 'oriel.lock');
  take(file, { dataDir, mine: `${process.pid} ${startTimeOf(process.pid) ?? ''}` });
  return { release: () => rmSync(file, { force: true }) };
}

const TRIES = 3;
/** Ids of processes and their start times are shorter; what else stands in a damaged lock does not matter. */
const CLAIM_LENGTH = 40;

function take(file: string, lock: { readonly dataDir: string; readonly mine: string }): void {
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (makeLink(lock.mine, file)) return;
    const holder = readLinkNote(file);
    // It was released meanwhile.
    if (holder === undefined) continue;
    if (runs(holder))
      throw new ServiceError(
        'STATE_CONFLICT',
        `another node runs on the data folder ${lock.dataDir} (process ${holder.split(' ')[0] ?? '?'}): stop it, or name another folder by --data`,
      );
    // A second one that takes over from the same dead process must not remove the lock that the first one has by then. So the
    // right to do so is a lock itself; and whoever has it looks whether the dead one's is still there. It may be left behind, too.
    const claim = `${file}.${holder.replace(/\D+/g, '-').slice(0, CLAIM_LENGTH)}`;
    take(claim, lock);
    if (readLinkNote(file) === holder) {
      renameSync(claim, file);
      return;
    }
    rmSync(claim);
  }
  throw new ServiceError(
    'STATE_CONFLICT',
    `other nodes start and stop on the data folder ${lock.dataDir}: see to it that one does`,
  );
}

/** False: the name is taken. */
function makeLink(target: string, path: string): boolean {
  try {
    symlinkSync(target, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function runs(holder: string): boolean {
  const [pid, startTime] = holder.trim().split(' ');
  const current = startTimeOf(Number(pid));
  return current !== undefined && current === startTime;
}
