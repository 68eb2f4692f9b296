import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** A new folder under the system's temporary one; `remove` deletes it with all that is in it. */
export async function tempFolder(
  purpose: string,
): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), `oriel-${purpose}-`));
  return { path: folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
