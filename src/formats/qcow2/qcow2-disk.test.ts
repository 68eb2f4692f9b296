import { execFile } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServiceError } from '../../base/service-error.js';
import { MIB } from '../../base/units.js';
import { type DiskPiece, openQcow2Disk } from './qcow2-disk.js';

const run = promisify(execFile);
const haveQemu = await run('qemu-img', ['--version']).then(
  () => true,
  () => false,
);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-qcow2-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Reads the whole disk and holds the pieces to their bounds. */
async function diskOf(bytes: Uint8Array, { keepsZeros = true, keepsData = true } = {}): Promise<Buffer> {
  const readAt = (offsetBytes: number, lengthBytes: number) => {
    expect(lengthBytes).toBeLessThanOrEqual(2 * MIB + 512);
    return Promise.resolve(Uint8Array.from(bytes.subarray(offsetBytes, offsetBytes + lengthBytes)));
  };
  const disk = await openQcow2Disk(readAt, bytes.length, () => Promise.resolve());
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of disk.pieces()) {
    sizeBytes += piece.kind === 'zero' ? piece.lengthBytes : piece.bytes.length;
    expect(sizeBytes).toBeLessThanOrEqual(disk.sizeBytes);
    if (piece.kind === 'data' && keepsData) parts.push(piece.bytes);
    if (piece.kind === 'zero' && keepsZeros) parts.push(new Uint8Array(piece.lengthBytes));
  }
  expect(sizeBytes).toBe(disk.sizeBytes);
  return Buffer.concat(parts);
}

function patched(bytes: Buffer, patch: (copy: Buffer) => unknown): Buffer {
  const copy = Buffer.from(bytes);
  patch(copy);
  return copy;
}

describe.skipIf(!haveQemu)('a disk that qemu-img made', () => {
  let raw: string;
  let rawBytes: Buffer;
  beforeAll(async () => {
    raw = join(folder, 'disk.raw');
    const file = await open(raw, 'w');
    // Not a multiple of any cluster; data that deflates and data that does not; a long hole and short ones.
    const noise = Buffer.from(Array.from({ length: 3 * MIB }, (_, index) => (index * 2_654_435_761) >>> 13));
    await file.write(Buffer.alloc(2 * MIB, 'deflates well '), 0, 2 * MIB, 4096);
    await file.write(noise, 0, noise.length, 5 * MIB + 512);
    for (let at = 16 * MIB; at < 20 * MIB; at += 96 * 1024) await file.write(noise, 0, 8192, at);
    await file.truncate(40 * MIB + 512 * 3);
    await file.close();
    rawBytes = await readFile(raw);
  });

  async function converted(options: readonly string[]): Promise<string> {
    const path = join(folder, `disk-${options.join('-').replaceAll('/', '_')}.qcow2`);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...options, raw, path]);
    return path;
  }

  it.each([
    [[]],
    [['-c']],
    [['-o', 'compat=0.10']],
    [['-c', '-o', 'compat=0.10']],
    [['-o', 'cluster_size=512']],
    [['-c', '-o', 'cluster_size=512']],
    [['-o', 'cluster_size=2M']],
    [['-c', '-o', 'cluster_size=2M']],
    [['-o', 'extended_l2=on']],
    [['-o', 'extended_l2=on,cluster_size=16k']],
    [['-c', '-o', 'extended_l2=on']],
    [['-o', 'preallocation=metadata']],
    [['-o', 'preallocation=full']],
    [['-o', 'lazy_refcounts=on,refcount_bits=1']],
    [['-m', '8', '-W', '-c']],
  ])('%j reads as its source', async (options) => {
    const path = await converted(options);
    expect((await diskOf(await readFile(path))).equals(rawBytes)).toBe(true);
  });

  it.each([[['-c']], [['-o', 'extended_l2=on']], [['-o', 'compat=0.10']]])(
    '%j, written to, discarded and with a snapshot, reads as qemu-img converts it',
    async (options) => {
      const path = await converted(options);
      const change = (...commands: readonly string[]) =>
        run('qemu-io', ['-t', 'unsafe', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path]);
      await change('write -P 7 1M 100k', 'write -z 6M 200k', 'discard 17M 1M', 'write -P 9 39M 1M', 'write -z 64k 4k');
      await run('qemu-img', ['snapshot', '-c', 'one', path]);
      await change('write -P 3 2M 300k');
      const expected = join(folder, 'expected.raw');
      await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, expected]);
      expect((await diskOf(await readFile(path))).equals(await readFile(expected))).toBe(true);
    },
  );

  it('of 3 TiB with little in it is read in a moment', async () => {
    const path = join(folder, 'large.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '3T']);
    await run('qemu-io', ['-t', 'unsafe', '-f', 'qcow2', '-c', 'write -P 3 2T 64k', path]);
    const data = await diskOf(await readFile(path), { keepsZeros: false });
    expect(data.equals(Buffer.alloc(65536, 3))).toBe(true);
  });

  it('compressed by zstd is refused by name', async () => {
    const bytes = await readFile(await converted(['-c', '-o', 'compression_type=zstd']));
    await expect(diskOf(bytes)).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED', message: /zstd/ });
  });

  it('encrypted is refused', async () => {
    const path = join(folder, 'luks.qcow2');
    const secret = [
      '--object',
      'secret,id=s,data=key',
      '-o',
      'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
    ];
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...secret, path, '4M']);
    await expect(diskOf(await readFile(path))).rejects.toMatchObject({
      reason: 'UNSUPPORTED_MEDIA',
      message: /encrypt/,
    });
  });

  describe('with tables that are not as they should be', () => {
    let good: Buffer;
    let l1: number;
    let l2: number;
    beforeAll(async () => {
      good = await readFile(await converted([]));
      l1 = Number(good.readBigUInt64BE(40));
      l2 = Number(good.readBigUInt64BE(l1) & 0x00fffffffffffe00n);
    });

    it.each<[string, (bytes: Buffer) => unknown]>([
      ['an L2 table that is the L1 table', (bytes) => bytes.writeBigUInt64BE(BigInt(l1), l1)],
      [
        'an L2 table that is the header',
        (bytes) => bytes.writeUInt32BE(0, l1 + 4) && bytes.writeBigUInt64BE(1n << 62n, l1),
      ],
      ['an L2 table past the end', (bytes) => bytes.writeBigUInt64BE(1n << 40n, l1)],
      ['an L2 table between clusters', (bytes) => bytes.writeBigUInt64BE(BigInt(l2 + 512), l1)],
      ['a cluster that is its own table', (bytes) => bytes.writeBigUInt64BE(BigInt(l2), l2)],
      ['a cluster past the end', (bytes) => bytes.writeBigUInt64BE(1n << 50n, l2)],
      ['two that share a cluster', (bytes) => bytes.copy(bytes, l2 + 8, l2, l2 + 8)],
      ['reserved bits in an entry', (bytes) => bytes.writeUInt8(bytes.readUInt8(l2 + 7) | 2, l2 + 7)],
      ['data that does not inflate', (bytes) => bytes.writeBigUInt64BE((1n << 62n) | BigInt(l2), l2)],
      ['a backing file', (bytes) => bytes.writeBigUInt64BE(1024n, 8)],
    ])('%s: refused', async (_what, patch) => {
      await expect(diskOf(patched(good, patch))).rejects.toMatchObject({ reason: 'UNSUPPORTED_MEDIA' });
    });

    it('one cluster for a disk of any size: refused before it is written', async () => {
      const deflated = await readFile(await converted(['-c']));
      const table = Number(deflated.readBigUInt64BE(Number(deflated.readBigUInt64BE(40))) & 0x00fffffffffffe00n);
      const bomb = patched(deflated.subarray(0, 0x60000), (bytes) => {
        // As many entries as the table has, all of the same compressed cluster; a small file.
        for (let at = 8; at < 65536; at += 8) bytes.copy(bytes, table + at, table, table + 8);
        bytes.writeBigUInt64BE(512n * 1024n * 1024n, 24);
      });
      await expect(diskOf(bomb, { keepsZeros: false, keepsData: false })).rejects.toMatchObject({
        reason: 'UNSUPPORTED_MEDIA',
      });
    });

    it('any other bytes anywhere: the disk, or a refusal', async () => {
      const small = join(folder, 'small.qcow2');
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', small, '1M']);
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 5 8k 64k', small]);
      const bytes = await readFile(small);
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(Math.min(bytes.length, 0x8000) - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
          async (changes) => {
            const other = patched(bytes, (copy) => {
              for (const [at, value] of changes) copy[at] = value;
            });
            await diskOf(other, { keepsZeros: false }).catch((error: unknown) => {
              if (!(error instanceof ServiceError)) throw error;
            });
          },
        ),
        { numRuns: 300 },
      );
    });
  });
});

/** A disk of as many L2 tables, all of them empty, in clusters of 64 KiB. */
function emptyTables(tableCount: number, { extended }: { readonly extended: boolean }): Buffer {
  const clusterBytes = 65_536;
  const l2Count = clusterBytes / (extended ? 16 : 8);
  const bytes = Buffer.alloc((3 + tableCount) * clusterBytes);
  bytes.write('QFI\xfb', 'latin1');
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(BigInt(tableCount * l2Count * clusterBytes), 24);
  bytes.writeUInt32BE(tableCount, 36);
  bytes.writeBigUInt64BE(BigInt(clusterBytes), 40);
  bytes.writeBigUInt64BE(BigInt((2 + tableCount) * clusterBytes), 48);
  bytes.writeUInt32BE(1, 56);
  if (extended) bytes.writeBigUInt64BE(16n, 72);
  bytes.writeUInt32BE(4, 96);
  bytes.writeUInt32BE(104, 100);
  for (let index = 0; index < tableCount; index += 1)
    bytes.writeBigUInt64BE(BigInt((2 + index) * clusterBytes), clusterBytes + index * 8);
  return bytes;
}

it.each([[{ extended: false }], [{ extended: true }]])(
  'many tables of nothing (%j) are one piece, and others have a turn after each',
  async (options) => {
    const bytes = emptyTables(64, options);
    const readAt = (at: number, lengthBytes: number) => Promise.resolve(bytes.subarray(at, at + lengthBytes));
    let turns = 0;
    const disk = await openQcow2Disk(readAt, bytes.length, () => {
      turns += 1;
      return Promise.resolve();
    });
    const pieces: DiskPiece[] = [];
    for await (const piece of disk.pieces()) pieces.push(piece);
    expect(pieces).toEqual([{ kind: 'zero', lengthBytes: disk.sizeBytes }]);
    expect(turns).toBe(65);
  },
);

it('a file that is none is refused', async () => {
  await expect(diskOf(Buffer.from('none'))).rejects.toMatchObject({ reason: 'UNSUPPORTED_MEDIA' });
});
