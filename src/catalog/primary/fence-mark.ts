/**
 * The mark that another authority has taken this one's place: `fenced.json` in the folder of `sqld`, so that it goes aside
 * with the catalog that it is about, when that is replaced.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { flush } from '../whole-file.js';

export interface FenceMark {
  /** The epoch of the other authority's catalog, or a later one. */
  readonly epoch: number;
  /** When this one learned of it, in milliseconds since 1970. */
  readonly atMs: number;
}

const FILE = 'fenced.json';

/** The mark; undefined: there is none. One that cannot be read counts. */
export function readFence(folder: string): FenceMark | undefined {
  const path = join(folder, FILE);
  if (!existsSync(path)) return undefined;
  const value: unknown = parse(readFileSync(path, 'utf8'));
  const number = (name: string): number => {
    const field: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    return typeof field === 'number' ? field : 0;
  };
  return { epoch: number('epoch'), atMs: number('atMs') };
}

/** Makes the mark, durable when it returns. */
export function writeFence(folder: string, mark: FenceMark): void {
  const path = join(folder, FILE);
  writeFileSync(`${path}.new`, `${JSON.stringify(mark)}\n`, { mode: 0o640 });
  flush(`${path}.new`);
  renameSync(`${path}.new`, path);
  flush(folder);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
