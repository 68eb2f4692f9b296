/** A node with two file stores, whose images show their locations. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startNode, type TestNode } from './node.js';

export const FAST = 'fast';
export const SLOW = 'slow';

/** Starts it over the folder, which keeps its data; `fast` is the default store and the heavier one. */
export async function startTwoStores(folder: string): Promise<TestNode> {
  const config = path.join(folder, 'oriel.toml');
  await mkdir(folder, { recursive: true });
  await writeFile(
    config,
    `[images]\nshow_multiple_locations = true\nshow_direct_url = true\n` +
      `[stores.${FAST}]\ntype = "file"\npath = "${storePath(folder, FAST)}"\ndefault = true\nweight = 10\n` +
      `[stores.${SLOW}]\ntype = "file"\npath = "${storePath(folder, SLOW)}"\n`,
  );
  return startNode({ dataDir: path.join(folder, 'data'), args: ['--config', config] });
}

/** The folder of a store. */
export function storePath(folder: string, store: string): string {
  return path.join(folder, store);
}
