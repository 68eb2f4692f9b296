import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceError } from '../base/service-error.js';
import { makeDurableFolder, syncFolder } from '../hostfs/folder.js';
import { errnoOf } from '../hostfs/fs-error.js';
import type { StoreMemory } from '../stores/file/store-marker.js';

/**
 * The ids of the folders of this node's stores as `stores.json` in the data folder, by the names of the stores. UNAVAILABLE: the file
 * is not what the service writes.
 */
export async function storeMemories(dataDir: string): Promise<(name: string) => StoreMemory> {
  const file = join(dataDir, 'stores.json');
  const ids = await idsIn(file);
  return (name) => ({
    id: ids.get(name),
    async remember(id) {
      if (ids.get(name) === id) return;
      ids.set(name, id);
      await makeDurableFolder(dataDir);
      await replaceDurably(file, `${JSON.stringify(Object.fromEntries(ids), null, 2)}\n`);
      await syncFolder(dataDir);
    },
  });
}

async function replaceDurably(file: string, text: string): Promise<void> {
  const made = await open(`${file}.new`, 'w', 0o640);
  try {
    await made.writeFile(text);
    await made.datasync();
  } finally {
    await made.close();
  }
  await rename(`${file}.new`, file);
}

async function idsIn(file: string): Promise<Map<string, string>> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('no object');
    return new Map(Object.entries(value).map(([name, id]) => [name, String(id)]));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return new Map();
    throw new ServiceError(
      'UNAVAILABLE',
      'stores.json in the data folder: expected an object of the ids of the stores; remove it if their disks are mounted',
      { cause: error },
    );
  }
}
