import { spawn } from 'node:child_process';
import { link, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TargetFile } from '../application/ports/target-files.js';
import { startTimeOf } from '../hostfs/process-start-time.js';
import { createUnitCopier } from '../workers/copy/unit-copier.js';
import { createTargetFiles } from './target-files.js';

const copier = createUnitCopier();
afterAll(() => copier.close());

const OPTIONS = { overwrite: false, flush: false };
let folder: string;
let target: TargetFile;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-target-'));
  target = await open();
});
afterEach(async () => {
  await target.close();
  await rm(folder, { recursive: true });
});

const open = () => createTargetFiles([folder], copier).open({ kind: 'path', path: join(folder, 'disk') });

async function fill(file: TargetFile): Promise<void> {
  const part = await file.openPart();
  await part.startAt(0, OPTIONS);
  await part.write(Buffer.from('data'));
  await part.end();
  await part.close();
}

describe('a partial file', () => {
  it('is filled by one process at a time, and the other is told by which', async () => {
    const other = spawn('sleep', ['60']);
    try {
      const pid = other.pid ?? expect.fail();
      await writeFile(join(folder, '.disk.oriel-lock'), `${pid} ${startTimeOf(pid) ?? expect.fail()}`);
      const refused = { reason: 'STATE_CONFLICT', message: new RegExp(`process ${pid} `) };
      await expect(target.openPart()).rejects.toMatchObject(refused);
      await expect(target.removePart()).rejects.toMatchObject(refused);
      await target.close();
      expect(await readdir(folder)).toEqual(['.disk.oriel-lock']);
    } finally {
      other.kill();
    }
    target = await open();
  });

  it.each([
    ['of a process that is gone', (path: string) => writeFile(path, '999999999 1')],
    ['of another process with the same id', (path: string) => writeFile(path, `${process.ppid} 1`)],
    ['that is none', (path: string) => symlink('/etc/passwd', path)],
  ])('is taken over from a lock %s', async (_what, put) => {
    await put(join(folder, '.disk.oriel-lock'));
    await fill(target);
    expect((await readdir(folder)).sort()).toEqual(['.disk.oriel-lock', '.disk.oriel-part']);
    await target.publish(OPTIONS);
    await target.close();
    expect(await readdir(folder)).toEqual(['disk']);
    target = await open();
  });

  it('is not given away while it has a second name', async () => {
    await fill(target);
    await link(join(folder, '.disk.oriel-part'), join(folder, 'kept'));
    await expect(target.publish(OPTIONS)).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
  });
});
