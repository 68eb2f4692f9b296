/** Errors of the catalog's file or its disk, by SQLite's code for them; a driver and `sqld` give the same. */
const FILE_PROBLEMS = [
  'FULL',
  'IOERR',
  'READONLY',
  'CORRUPT',
  'NOTADB',
  'CANTOPEN',
  'BUSY',
  'LOCKED',
  'NOMEM',
  'PROTOCOL',
];

/** Tells by its code an error of the file, which every operation would meet, from one of this operation. */
export function concernsTheFile(code: string): boolean {
  return FILE_PROBLEMS.some((problem) => code.startsWith(`SQLITE_${problem}`));
}

/** What a caller is told when the group could not be written. */
export function unavailableMessage(code = 'no code'): string {
  // sqld says IOERR, too, when its log has no room.
  const advice = code.startsWith('SQLITE_FULL')
    ? 'its disk is full: free some space, then retry'
    : code.startsWith('SQLITE_IOERR')
      ? 'its disk is full or fails: look at its free space, then retry'
      : code.startsWith('SQLITE_READONLY')
        ? 'its file or disk is read-only: make it writable, then retry'
        : code.startsWith('SQLITE_CORRUPT') || code.startsWith('SQLITE_NOTADB')
          ? 'its file is damaged: restore a backup'
          : code.startsWith('SQLITE_BUSY')
            ? 'another process holds its lock: run one node for each catalog file'
            : 'check its disk, then retry';
  return `the catalog cannot be written (${code}); ${advice}. Nothing was changed`;
}
