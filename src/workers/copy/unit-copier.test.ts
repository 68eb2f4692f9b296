import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blake3 } from '@napi-rs/blake-hash';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CopiedUnit } from '../../application/ports/unit-copier.js';
import { MIB } from '../../base/units.js';
import { createUnitCopier } from './unit-copier.js';

const copier = createUnitCopier();
afterAll(() => copier.close());

let folder: string;
let from: FileHandle;
let to: FileHandle;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-copy-'));
  from = await open(join(folder, 'from'), 'w+');
  to = await open(join(folder, 'to'), 'w+');
});
afterEach(async () => {
  await from.close();
  await to.close();
  await rm(folder, { recursive: true });
});

/** The bytes as units; what `digests` says of each, whatever it is unless told. */
function unitsOf(bytes: Buffer, digests: readonly (Uint8Array | null)[] = []): CopiedUnit[] {
  return Array.from({ length: Math.ceil(bytes.length / MIB) }, (_, index) => {
    const offsetBytes = index * MIB;
    const lengthBytes = Math.min(MIB, bytes.length - offsetBytes);
    return { offsetBytes, lengthBytes, digest: digests[index] ?? null };
  });
}

const copied = (): Promise<Buffer> => readFile(join(folder, 'to'));

describe('units of a file', () => {
  test('are copied to their places, and pieces of zeros left out', async () => {
    const bytes = Buffer.alloc(2 * MIB + 1000, 7);
    bytes.fill(0, 100_000, MIB + 300_000);
    await from.write(bytes);
    const units = unitsOf(bytes, [blake3(bytes.subarray(0, MIB)), null, blake3(bytes.subarray(2 * MIB))]);
    const { count, writtenBytes } = await copier.copy(from.fd, to.fd, units);
    expect(count).toBe(3);
    expect((await copied()).equals(bytes)).toBe(true);
    const { blocks } = await to.stat();
    expect(blocks * 512).toBeLessThanOrEqual(writtenBytes + 8192);
    expect(writtenBytes).toBeLessThan(bytes.length - MIB);
  });

  test('are copied up to the first that is not what its digest says', async () => {
    const bytes = Buffer.alloc(3 * MIB, 7);
    await from.write(bytes);
    const right = blake3(bytes.subarray(0, MIB));
    const units = unitsOf(bytes, [right, blake3(Buffer.from('another')), right]);
    expect(await copier.copy(from.fd, to.fd, units)).toEqual({ count: 1, writtenBytes: MIB });
    expect((await copied()).length).toBe(MIB);
  });

  test('are copied up to where the file ends too early', async () => {
    await from.write(Buffer.alloc(MIB + 5, 7));
    const units = unitsOf(Buffer.alloc(2 * MIB));
    expect(await copier.copy(from.fd, to.fd, units)).toEqual({ count: 1, writtenBytes: MIB });
  });

  test('are none when the file cannot be read', async () => {
    const unreadable = await open(join(folder, 'from'), constants.O_WRONLY);
    try {
      const units = unitsOf(Buffer.alloc(5));
      expect(await copier.copy(unreadable.fd, to.fd, units)).toEqual({ count: 0, writtenBytes: 0 });
    } finally {
      await unreadable.close();
    }
  });

  test('fail with the error of the system where there is no room', async () => {
    const full = await open('/dev/full', 'r+');
    try {
      await from.write(Buffer.alloc(10, 7));
      const copying = copier.copy(from.fd, full.fd, unitsOf(Buffer.alloc(10)));
      await expect(copying).rejects.toMatchObject({ code: 'ENOSPC', message: /ENOSPC/ });
    } finally {
      await full.close();
    }
  });
});

test('a pool that never copied is closed', async () => {
  await createUnitCopier().close();
});
