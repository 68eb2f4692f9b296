import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Connection } from './connection.js';

const TRIES = 100;

test('a file that cannot be opened leaves nothing behind', () => {
  const directory = mkdtempSync(join(tmpdir(), 'oriel-connection-'));
  const path = join(directory, 'catalog.db');
  const writer = new Connection(path, 'writer');
  writer.exec('create table a (b)');
  writer.close();
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  // SQLite needs its index of the log, and cannot make it here.
  symlinkSync(`${path}-shm`, `${path}-shm`);
  const before = readdirSync('/proc/self/fd').length;
  for (let tries = 0; tries < TRIES; tries += 1) expect(() => new Connection(path, 'reader')).toThrow('unable to open');
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + TRIES);
  rmSync(directory, { recursive: true });
});
