import { readdir } from 'node:fs/promises';
import path from 'node:path';

/**
 * The files under the folder of the default store, temporary ones included, relative to it, without the mark of the folder. The layout beneath is the
 * store's business; tests only count: an active image has its data and its file.map, and nothing else lies there.
 */
export async function storedFiles(dataDir: string): Promise<readonly string[]> {
  const root = path.join(dataDir, 'images');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'store-id')
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

/** How many files belong to one image with data. */
export const FILES_PER_IMAGE = 2;
