import { statSync } from 'node:fs';

/** What changes when something is written to the database: sizes and times of the file and its log. */
export function fileMarks(path: string): string {
  return ['', '-wal'].map((suffix) => mark(path + suffix)).join(' ');
}

// The index of frames is left out: each try of a sync touches it.
function mark(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? 'absent' : `${stats.size}@${stats.mtimeMs}`;
}
