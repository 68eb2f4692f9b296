import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScrubState, ScrubStateFile } from '../application/ports/scrub-state.js';
import { asImageId } from '../base/brand.js';
import { errnoOf } from '../hostfs/fs-error.js';

const NEW: ScrubState = { passStartedAtMs: 0, after: null, orphans: new Map() };

/**
 * The scrubber's memory as `scrub.json` in the data folder. Not flushed: what a crash takes is done again, and a file that cannot be
 * read is none.
 */
export function scrubStateFile(dataDir: string): ScrubStateFile {
  const file = join(dataDir, 'scrub.json');
  return {
    async load() {
      try {
        return stateOf(JSON.parse(await readFile(file, 'utf8')));
      } catch (error) {
        if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return NEW;
        throw error;
      }
    },
    async save({ passStartedAtMs, after, orphans }) {
      await writeFile(`${file}.new`, JSON.stringify({ passStartedAtMs, after, orphans: [...orphans] }), {
        mode: 0o640,
      });
      await rename(`${file}.new`, file);
    },
  };
}

function stateOf(value: unknown): ScrubState {
  const fields = new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  const orphans: unknown = fields.get('orphans');
  return {
    passStartedAtMs: numberOr0(fields.get('passStartedAtMs')),
    after: placeOf(fields.get('after')),
    orphans: new Map((Array.isArray(orphans) ? orphans : []).flatMap(seenOf)),
  };
}

function placeOf(value: unknown): ScrubState['after'] {
  if (value === '') return value;
  return typeof value === 'string' ? (asImageId(value) ?? null) : null;
}

function seenOf(entry: unknown): readonly (readonly [string, number])[] {
  if (!Array.isArray(entry)) return [];
  const cells: readonly unknown[] = entry;
  const [name, atMs] = cells;
  return typeof name === 'string' && typeof atMs === 'number' ? [[name, atMs]] : [];
}

function numberOr0(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
