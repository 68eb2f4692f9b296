import { readFileSync, readlinkSync } from 'node:fs';
import { errnoOf } from './fs-error.js';

/**
 * What a note says that is kept as the target of a symbolic link to nowhere: such a link is made at once, and needs no room for
 * data, so that it can be made on a full disk. Undefined: there is none.
 */
export function readLinkNote(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT') return undefined;
    // Notes of 0.1 were files.
    if (code === 'EINVAL') return readFileSync(path, 'utf8');
    throw error;
  }
}
