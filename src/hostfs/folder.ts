import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { errnoOf } from './fs-error.js';

/** Access for the service and its group only: images may be private. */
const FOLDER_MODE = 0o750;

/**
 * Makes the folder and its parents, and returns those it made, the highest first. One after the other: a recursive mkdir of
 * Node 20 never returns below a folder that takes no entries and says ENOENT, as /proc does.
 */
export async function makeFolder(path: string, mode = FOLDER_MODE): Promise<readonly string[]> {
  const folder = resolve(path);
  try {
    return await makeOne(folder, mode);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const parents = await makeFolder(dirname(folder), mode);
  return [...parents, ...(await makeOne(folder, mode))];
}

async function makeOne(folder: string, mode: number): Promise<readonly string[]> {
  try {
    await mkdir(folder, { mode });
    return [folder];
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && (await stat(folder)).isDirectory()) return [];
    throw error;
  }
}

/** Makes the folder and its parents; those it made are durable when the promise resolves. */
export async function makeDurableFolder(path: string): Promise<void> {
  // A new folder is an entry of its parent.
  for (const made of [...(await makeFolder(path))].reverse()) await syncFolder(dirname(made));
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
