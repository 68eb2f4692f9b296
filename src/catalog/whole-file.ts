/** Files that are there whole or not at all. */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { ServiceError } from '../base/service-error.js';

/** Makes what was written to a file, or the entries of a folder, durable. */
export function flush(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Gives a whole, durable file its name. ALREADY_EXISTS: the name is taken, and may not be taken over. */
export function publish(from: string, to: string, replace: boolean): void {
  if (replace) renameSync(from, to);
  else {
    try {
      // Unlike a rename, never over another file.
      linkSync(from, to);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') throw taken(to);
      throw error;
    }
    rmSync(from);
  }
  flush(dirname(to));
}

export function taken(file: string): ServiceError {
  return new ServiceError('ALREADY_EXISTS', `${file} exists: name another file, or replace it by --force`);
}

/** Takes what is there aside under a dated name, which is returned; undefined: there is nothing. */
export function takeAside(path: string, nowMs: number): string | undefined {
  if (!existsSync(path)) return undefined;
  const aside = `${path}.${new Date(nowMs).toISOString().replace(/[:.]/g, '-')}`;
  renameSync(path, aside);
  return aside;
}
