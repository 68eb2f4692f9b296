import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './fs-error.js';

/** Access for the service and its group only: images may be private. */
const FOLDER_MODE = 0o750;

/** Makes the folder and its parents; those it made are durable when the promise resolves. */
export async function makeDurableFolder(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  if (firstMade === undefined) return;
  // A new folder is an entry of its parent: every parent from the deepest up to that of the first one made.
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === dirname(firstMade) || folder === dirname(folder)) return;
  }
}

/** Makes the entries of a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems (FUSE, CIFS) cannot flush a folder and say so; they order the entries themselves.
    const code = errnoOf(error);
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EBADF') throw error;
  } finally {
    await folder.close();
  }
}
