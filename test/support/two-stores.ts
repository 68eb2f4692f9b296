/** A node with two file stores, whose images show their locations. */
import { mkdir, open, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type NodeOptions, startNode, type TestNode } from './node.js';

export const FAST = 'fast';
export const SLOW = 'slow';

/** Starts it over the folder, which keeps its data; `fast` is the default store and the heavier one. */
export async function startTwoStores(
  folder: string,
  options: Pick<NodeOptions, 'env' | 'wrapper'> = {},
): Promise<TestNode> {
  const config = path.join(folder, 'oriel.toml');
  await mkdir(folder, { recursive: true });
  await writeFile(
    config,
    `[images]\nshow_multiple_locations = true\nshow_direct_url = true\n` +
      `[stores.${FAST}]\ntype = "file"\npath = "${storePath(folder, FAST)}"\ndefault = true\nweight = 10\n` +
      `[stores.${SLOW}]\ntype = "file"\npath = "${storePath(folder, SLOW)}"\n`,
  );
  return startNode({ ...options, dataDir: path.join(folder, 'data'), args: ['--config', config] });
}

/** The files of a store, temporary ones too, without the one that marks its folder. */
export async function filesIn(folder: string, store: string): Promise<string[]> {
  const entries = await readdir(storePath(folder, store), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'store-id')
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** The file with the data of an image in a store. */
export async function dataFile(folder: string, store: string, id: string): Promise<string> {
  const file = (await filesIn(folder, store)).find((name) => name.includes(id) && name.endsWith('.data'));
  if (file === undefined) throw new Error(`no data of ${id} in ${store}`);
  return file;
}

/** Changes one byte of a file. */
export async function flipByte(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, at);
  await handle.close();
}

/** The folder of a store. */
export function storePath(folder: string, store: string): string {
  return path.join(folder, store);
}
