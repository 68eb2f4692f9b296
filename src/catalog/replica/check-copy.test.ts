import { mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../../test/support/replica.js';
import { Connection } from '../connection.js';
import { checkCopy } from './check-copy.js';
import { CopyReads } from './copy-reads.js';
import { CopyVerifier } from './copy-verifier.js';

let directory: string;
let path: string;
const stop = new AbortController();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'oriel-check-'));
  path = join(directory, 'copy.db');
  const connection = new Connection(path, 'writer');
  connection.exec('create table a (b)');
  connection.close();
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the check of a copy', { timeout: 60_000 }, () => {
  test('tells a sound copy from a damaged one, and both from one that it could not look at', async () => {
    expect(await checkCopy(path, stop.signal)).toEqual({ kind: 'sound' });
    const garbage = join(directory, 'garbage.db');
    writeFileSync(garbage, 'x'.repeat(8192));
    expect(await checkCopy(garbage, stop.signal)).toMatchObject({ kind: 'damaged' });
    expect(await checkCopy(directory, stop.signal)).toMatchObject({ kind: 'not-checked' });
    expect(await checkCopy(join(directory, 'absent.db'), stop.signal)).toMatchObject({ kind: 'not-checked' });
    expect(await checkCopy(path, AbortSignal.abort())).toMatchObject({ kind: 'not-checked' });
  });

  test('the verifier checks again what it could not look at, and only damage counts', async () => {
    const reads = new CopyReads(path, 1);
    const [warnings, damages]: [string[], string[]] = [[], []];
    const note = (facts: object): void => {
      warnings.push(JSON.stringify(facts));
    };
    const verifier = new CopyVerifier({
      signal: stop.signal,
      log: { info: note, warn: note, error: note },
      inUse: () => true,
      onDamage: (_reads, problem) => damages.push(problem),
    });
    // The name is a folder's for a while.
    renameSync(path, join(directory, 'moved.db'));
    mkdirSync(path);
    verifier.verify(reads);
    await until(
      () => warnings.length,
      (count) => count > 0,
    );
    expect(damages).toEqual([]);
    rmdirSync(path);
    writeFileSync(path, 'x'.repeat(8192));
    await until(
      () => damages.length,
      (count) => count > 0,
    );
    expect(damages).toEqual([expect.stringContaining('not a database')]);
    await verifier.done();
    await reads.close();
  });
});
