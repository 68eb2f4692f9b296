import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ServiceError } from '../base/service-error.js';
import { wrapFsError, wrappingFsErrors } from './fs-error.js';
import { SparseWriter } from './sparse-writer.js';

describe('sparse writer on a full device', () => {
  test('fails with the error of the system, which becomes LIMIT_EXCEEDED', async () => {
    const file = await open('/dev/full', 'r+');
    try {
      const writer = new SparseWriter(file);
      await writer.write(Buffer.alloc(200_000));
      expect(writer.sizeBytes).toBe(200_000);
      const writing = wrappingFsErrors('store fast: writing', () => writer.write(Buffer.alloc(200_000, 1)));
      await expect(writing).rejects.toMatchObject({
        reason: 'LIMIT_EXCEEDED',
        message: 'store fast: writing: no room left (ENOSPC)',
      });
      await writer.settle();
    } finally {
      await file.close();
    }
  });
});

test('writes on behind what is there, over skipped zeros, to the end that it was told of', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'oriel-sparse-'));
  const file = await open(join(folder, 'file'), 'w+');
  try {
    await file.write('before');
    const writer = new SparseWriter(file, { sizeBytes: 6, flushes: false });
    writer.skip(200_000);
    await writer.write(Buffer.from('after'));
    writer.skip(1000);
    await writer.end();
    const expected = Buffer.concat([
      Buffer.from('before'),
      Buffer.alloc(200_000),
      Buffer.from('after'),
      Buffer.alloc(1000),
    ]);
    expect((await readFile(join(folder, 'file'))).equals(expected)).toBe(true);
  } finally {
    await file.close();
    await rm(folder, { recursive: true });
  }
});

describe('errors of system calls', () => {
  const failure = (code: string): Error => Object.assign(new Error(`${code}: at /secret/path`), { code });

  test.each([
    ['ENOSPC', 'LIMIT_EXCEEDED'],
    ['EDQUOT', 'LIMIT_EXCEEDED'],
    ['EFBIG', 'LIMIT_EXCEEDED'],
    ['EROFS', 'UNAVAILABLE'],
    ['EACCES', 'UNAVAILABLE'],
    ['EIO', 'UNAVAILABLE'],
  ])('%s becomes %s, without the path', (code, reason) => {
    const wrapped = wrapFsError(failure(code), 'store fast: writing');
    expect(wrapped).toMatchObject({ reason, cause: { code } });
    expect(String(wrapped)).not.toContain('secret');
  });

  test('what is no failure of a system call stays as it is', () => {
    const bug = new Error('a bug');
    const service = new ServiceError('NOT_FOUND', 'no such object');
    expect(wrapFsError(bug, 'x')).toBe(bug);
    expect(wrapFsError(service, 'x')).toBe(service);
    expect(wrapFsError('text', 'x')).toBe('text');
  });
});
