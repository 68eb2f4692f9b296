import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { makeFolder } from './folder.js';

const base = mkdtempSync(join(tmpdir(), 'oriel-folder-'));
afterAll(() => rmSync(base, { recursive: true }));

describe('makeFolder', () => {
  it('makes the parents too, and says what it made', async () => {
    expect(await makeFolder(join(base, 'a/b'))).toEqual([join(base, 'a'), join(base, 'a/b')]);
    expect(await makeFolder(join(base, 'a/b'))).toEqual([]);
    expect(existsSync(join(base, 'a/b'))).toBe(true);
  });

  it('ends where none can be made', async () => {
    await expect(makeFolder('/proc/none/deep')).rejects.toMatchObject({ code: 'ENOENT' });
    writeFileSync(join(base, 'file'), '');
    await expect(makeFolder(join(base, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(makeFolder(join(base, 'file/deep'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
