import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Inspection } from './inspection.js';
import { inspectImage } from './probe.js';

const run = promisify(execFile);
const haveQemu = await run('qemu-img', ['--version']).then(
  () => true,
  () => false,
);

/** Inspects bytes and holds the probe to its bounds. */
async function inspect(bytes: Uint8Array, sizeBytes = bytes.length): Promise<Inspection> {
  let reads = 0;
  return inspectImage((offsetBytes, lengthBytes) => {
    expect(++reads).toBeLessThanOrEqual(20);
    expect(lengthBytes).toBeLessThanOrEqual(65536);
    expect(offsetBytes).toBeGreaterThanOrEqual(0);
    return Promise.resolve(bytes.subarray(offsetBytes, offsetBytes + lengthBytes));
  }, sizeBytes);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-formats-'));
});
afterAll(() => rm(folder, { recursive: true }));

let made = 0;
async function qemuImage(format: string, options: readonly string[] = [], size = '8M'): Promise<Buffer> {
  const path = join(folder, `image-${made++}`);
  await run('qemu-img', ['create', '-q', '-f', format, ...options, path, size]);
  return readFile(path);
}

async function virtualSizeByQemu(format: string, bytes: Uint8Array): Promise<number> {
  const path = join(folder, `info-${made++}`);
  await writeFile(path, bytes);
  const { stdout } = await run('qemu-img', ['info', '-f', format, '--output=json', path]);
  return (JSON.parse(stdout) as { 'virtual-size': number })['virtual-size'];
}

function patched(bytes: Buffer, patch: (copy: Buffer) => unknown): Buffer {
  const copy = Buffer.from(bytes);
  patch(copy);
  return copy;
}

describe('content without a header', () => {
  test.each([0, 1, 511, 512, 100_000])('%i bytes of noise are raw', async (sizeBytes) => {
    const noise = Buffer.alloc(sizeBytes, 'noise');
    expect(await inspect(noise)).toEqual({ format: 'raw', virtualSizeBytes: sizeBytes, safe: true, reasons: [] });
  });

  test('any bytes behind any magic get a verdict, in bounded reads', async () => {
    const magics = [
      'QFI\xfb\0\0\0\x02',
      'QFI\xfb\0\0\0\x03',
      'QFI\xfb\0\0\0\x01',
      'QED\0',
      'KDMV',
      'COWD',
      '# Disk DescriptorFile\n',
    ];
    magics.push('vhdxfile', 'conectix', 'LUKS\xba\xbe\0\x01', 'LUKS\xba\xbe\0\x02', 'version=1\n', '');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...magics),
        fc.uint8Array({ maxLength: 3000 }),
        fc.nat(200_000),
        fc.boolean(),
        async (magic, bytes, padBytes, footer) => {
          const parts = [Buffer.from(magic, 'latin1'), bytes, Buffer.alloc(padBytes)];
          if (footer) parts.push(Buffer.from('conectix'), Buffer.alloc(504, bytes[0] ?? 0));
          const inspection = await inspect(Buffer.concat(parts));
          expect(inspection.safe).toBe(inspection.reasons.length === 0);
          const size = inspection.virtualSizeBytes;
          expect(size === null || (Number.isSafeInteger(size) && size >= 0)).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
  });

  test('a reader that gives less than the file should have gets a verdict', async () => {
    expect((await inspect(Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), 1_000_000)).format).toBe('raw');
  });

  test('an error of the reader is passed on', async () => {
    await expect(inspectImage(() => Promise.reject(new Error('disk gone')), 100)).rejects.toThrow('disk gone');
  });
});

describe('headers made by hand', () => {
  const gptDisk = (): Buffer => {
    const disk = Buffer.alloc(64 * 1024);
    disk.writeUInt16LE(0xaa55, 510);
    disk.write('EFI PART', 512, 'latin1');
    disk.writeUInt32LE(92, 512 + 12);
    disk.writeBigUInt64LE(1n, 512 + 24);
    disk.writeBigUInt64LE(2n, 512 + 72);
    disk.writeUInt32LE(128, 512 + 80);
    disk.writeUInt32LE(128, 512 + 84);
    return disk;
  };
  const iso = (): Buffer => {
    const disc = Buffer.alloc(100 * 1024);
    disc.write('\x01CD001\x01', 32768, 'latin1');
    return disc;
  };

  test('a partition table is gpt, and one that makes no sense is not safe', async () => {
    expect(await inspect(gptDisk())).toMatchObject({ format: 'gpt', safe: true, virtualSizeBytes: 65536 });
    const absurd = patched(gptDisk(), (disk) => disk.writeUInt32LE(0xffffffff, 512 + 80));
    expect(await inspect(absurd)).toMatchObject({ format: 'gpt', safe: false });
    expect(await inspect(patched(gptDisk(), (disk) => disk.writeUInt16LE(0, 510)))).toMatchObject({ format: 'raw' });
  });

  test('a CD is iso, with a partition table too', async () => {
    expect(await inspect(iso())).toMatchObject({ format: 'iso', safe: true, virtualSizeBytes: 102_400 });
    const hybrid = patched(iso(), (disc) => gptDisk().copy(disc, 0, 0, 1024));
    expect(await inspect(hybrid)).toMatchObject({ format: 'iso', safe: true });
  });

  test('two formats at once are not safe', async () => {
    const both = patched(iso(), (disc) => disc.write('QFI\xfb\0\0\0\x02', 0, 'latin1'));
    const inspection = await inspect(both);
    expect(inspection).toMatchObject({ format: 'qcow2', safe: false });
    expect(inspection.reasons[0]).toBe('the content is qcow2 and iso at once');
  });

  test.each(['/etc/passwd', '..\\x', 'nbd:x'])('a VMDK descriptor that names %j is not safe', async (name) => {
    const text = `# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 8 FLAT "${name}" 0\n`;
    const inspection = await inspect(Buffer.from(text));
    expect(inspection).toMatchObject({ format: 'vmdk', safe: false });
    expect(inspection.reasons.join()).toContain('its extent has a path');
  });

  test('a QED is never safe, a qcow only without a backing file', async () => {
    const qed = Buffer.alloc(4096);
    qed.write('QED\0', 0, 'latin1');
    expect(await inspect(qed)).toMatchObject({ format: 'qed', safe: false });
    const qcow = Buffer.alloc(4096);
    qcow.write('QFI\xfb\0\0\0\x01', 0, 'latin1');
    qcow.writeBigUInt64BE(1_048_576n, 24);
    expect(await inspect(qcow)).toMatchObject({ format: 'qcow', safe: true, virtualSizeBytes: 1_048_576 });
    expect(await inspect(patched(qcow, (disk) => disk.writeUInt32BE(48, 12)))).toMatchObject({ safe: false });
  });
});

describe.skipIf(!haveQemu)('images by qemu-img', () => {
  test.each([
    ['qcow2', 'qcow2', ['-o', 'compat=0.10']],
    ['qcow2', 'qcow2', ['-o', 'compat=1.1,lazy_refcounts=on']],
    ['qcow2', 'qcow2', ['-o', 'cluster_size=512']],
    ['qcow2', 'qcow2', ['-o', 'cluster_size=2M']],
    ['qcow2', 'qcow2', ['-o', 'extended_l2=on,cluster_size=128k']],
    ['qcow2', 'qcow2', ['-o', 'compression_type=zstd']],
    ['qcow2', 'qcow2', ['-o', 'refcount_bits=1']],
    ['qcow', 'qcow', []],
    ['vmdk', 'vmdk', []],
    ['vmdk', 'vmdk', ['-o', 'subformat=streamOptimized']],
    ['vhd', 'vpc', []],
    ['vhd', 'vpc', ['-o', 'subformat=fixed']],
    ['vhd', 'vpc', ['-o', 'force_size=on']],
    ['vhdx', 'vhdx', []],
    ['vhdx', 'vhdx', ['-o', 'subformat=fixed']],
    ['vdi', 'vdi', []],
    ['vdi', 'vdi', ['-o', 'static=on']],
  ] as const)(
    '%s (%s %j) is recognised, safe, and has the size that qemu-img sees',
    async (format, driver, options) => {
      // A stream-optimised VMDK gets its footer only when it is written to, by a conversion.
      const bytes = options.join().includes('streamOptimized')
        ? await converted(driver, options)
        : await qemuImage(driver, options);
      const inspection = await inspect(bytes);
      expect(inspection).toMatchObject({ format, safe: true, reasons: [] });
      expect(inspection.virtualSizeBytes).toBe(await virtualSizeByQemu(driver, bytes));
    },
  );

  async function converted(driver: string, options: readonly string[]): Promise<Buffer> {
    const [raw, path] = [join(folder, `raw-${made++}`), join(folder, `converted-${made++}`)];
    await writeFile(raw, Buffer.alloc(3 * 1024 * 1024, 'content'));
    await run('qemu-img', ['convert', '-f', 'raw', '-O', driver, ...options, raw, path]);
    return readFile(path);
  }

  test('luks is recognised', async () => {
    const path = join(folder, 'luks');
    const secret = ['--object', 'secret,id=s0,data=fixture', '-o', 'key-secret=s0,iter-time=10'];
    await run('qemu-img', ['create', '-q', '-f', 'luks', ...secret, path, '1M']);
    expect(await inspect(await readFile(path))).toMatchObject({
      format: 'luks',
      safe: true,
      virtualSizeBytes: 1_048_576,
    });
  });

  test('a qcow2 of 64 TiB is recognised by a few reads', async () => {
    const bytes = await qemuImage('qcow2', ['-o', 'cluster_size=2M'], '64T');
    expect(await inspect(bytes)).toMatchObject({ safe: true, virtualSizeBytes: 64 * 2 ** 40 });
  });

  test.each(['/etc/passwd', 'json:{"driver":"raw"}', 'nbd://127.0.0.1:9/x'])(
    'a qcow2 on %s is not safe',
    async (name) => {
      const path = join(folder, `overlay-${made++}`);
      await run('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', '-b', name, '-F', 'raw', path, '1M']);
      expect(await inspect(await readFile(path))).toMatchObject({
        format: 'qcow2',
        safe: false,
        reasons: ['qcow2: it has a backing file'],
      });
    },
  );

  test('a qcow2 with an external data file is not safe, without the feature bit either', async () => {
    const path = join(folder, `external-${made++}`);
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `data_file=${path}.raw`, path, '1M']);
    const bytes = await readFile(path);
    expect((await inspect(bytes)).reasons).toContain('qcow2: its data is in an external file');
    const hidden = patched(bytes, (copy) => copy.writeBigUInt64BE(0n, 72));
    expect((await inspect(hidden)).reasons).toContain('qcow2: it names an external data file');
  });

  test.each<[string, (copy: Buffer) => unknown, RegExp]>([
    ['version 9', (copy) => copy.writeUInt32BE(9, 4), /version 2 or 3, found 9/],
    ['cluster_bits 8', (copy) => copy.writeUInt32BE(8, 20), /cluster_bits/],
    ['cluster_bits 63', (copy) => copy.writeUInt32BE(63, 20), /cluster_bits/],
    ['AES', (copy) => copy.writeUInt32BE(1, 32), /encryption 1/],
    ['a size of 2^64-1', (copy) => copy.writeBigUInt64BE(2n ** 64n - 1n, 24), /not below 2\^53/],
    [
      'a size that its L1 table does not cover',
      (copy) => copy.writeBigUInt64BE(2n ** 40n, 24),
      /l1_size of 2048, found 1/,
    ],
    ['an L1 table of 32 GiB', (copy) => copy.writeUInt32BE(0xffffffff, 36), /L1 table of at most/],
    ['an L1 table past the end', (copy) => copy.writeBigUInt64BE(0x7fffffff0000n, 40), /l1_size 1 needs 8 bytes/],
    ['an L1 table off its cluster', (copy) => copy.writeBigUInt64BE(12345n, 40), /l1_size 1 needs 8 bytes/],
    ['an L1 table over the header', (copy) => copy.writeBigUInt64BE(0n, 40), /l1_size 1 needs 8 bytes/],
    ['a refcount table past the end', (copy) => copy.writeBigUInt64BE(0x7fffffff0000n, 48), /refcount table at/],
    ['a huge refcount table', (copy) => copy.writeUInt32BE(0xffffffff, 56), /refcount table of one cluster/],
    ['too many snapshots', (copy) => copy.writeUInt32BE(0xffffffff, 60), /at most 65536 snapshots/],
    ['snapshots past the end', (copy) => copy.writeUInt32BE(9, 60), /9 snapshots at offset 0/],
    ['an unknown feature', (copy) => copy.writeBigUInt64BE(1n << 40n, 72), /features 0x10000000000/],
    ['the corrupt bit', (copy) => copy.writeBigUInt64BE(2n, 72), /marked corrupt/],
    ['refcount_order 200', (copy) => copy.writeUInt32BE(200, 96), /refcount_order/],
    ['a huge header', (copy) => copy.writeUInt32BE(0xfffffff0, 100), /header of 104 bytes/],
    ['a compression type without its bit', (copy) => copy.writeUInt8(1, 104), /compression type 0, found 1/],
    ['an unknown compression type', (copy) => (copy.writeBigUInt64BE(8n, 72), copy.writeUInt8(255, 104)), /found 255/],
    ['a huge extension', (copy) => copy.writeUInt32BE(0xfffffff0, 116), /pass the first cluster/],
  ])('a qcow2 with %s is not safe', async (_what, patch, reason) => {
    const inspection = await inspect(patched(await qemuImage('qcow2'), patch));
    expect(inspection).toMatchObject({ format: 'qcow2', safe: false });
    expect(inspection.reasons.join('; ')).toMatch(reason);
  });

  test('a dirty qcow2 is safe', async () => {
    expect(await inspect(patched(await qemuImage('qcow2'), (copy) => copy.writeBigUInt64BE(1n, 72)))).toMatchObject({
      safe: true,
    });
  });

  test('an image cut anywhere in its header is not safe or raw', async () => {
    for (const driver of ['qcow2', 'vmdk', 'vpc', 'vhdx', 'vdi']) {
      const bytes = await qemuImage(driver);
      for (const lengthBytes of [4, 8, 71, 103, 400, 511, 512, 1000]) {
        const inspection = await inspect(bytes.subarray(0, lengthBytes));
        expect(!inspection.safe || inspection.format === 'raw').toBe(true);
      }
    }
  });

  test.each<[string, string, (copy: Buffer) => unknown, RegExp]>([
    ['vmdk', 'a huge capacity', (copy) => copy.writeBigUInt64LE(2n ** 62n, 12), /grain directory/],
    ['vmdk', 'a huge grain', (copy) => copy.writeBigUInt64LE(2n ** 63n, 20), /grain size/],
    ['vmdk', 'huge grain tables', (copy) => copy.writeUInt32LE(0xffffffff, 44), /grain tables/],
    ['vmdk', 'its directory past the end', (copy) => copy.writeBigUInt64LE(2n ** 40n, 56), /grain directory/],
    ['vmdk', 'its descriptor past the end', (copy) => copy.writeBigUInt64LE(2n ** 40n, 36), /descriptor of/],
    ['vmdk', 'a missing footer', (copy) => copy.fill(0xff, 56, 64), /footer/],
    ['vmdk', 'a parent', (copy) => replaceText(copy, 'parentCID=ffffffff', 'parentCID=12345678'), /names a parent/],
    ['vmdk', 'a flat extent', (copy) => replaceText(copy, ' SPARSE "', ' FLAT   "'), /SPARSE extent/],
    ['vmdk', 'another type', (copy) => replaceText(copy, 'monolithicSparse', 'monolithicFlat"\n'), /createType/],
    ['vpc', 'a wrong checksum', (copy) => copy.writeUInt32BE(1, 64), /checksum/],
    ['vpc', 'no dynamic header', (copy) => copy.writeBigUInt64BE(2n ** 40n, 16), /no dynamic header/],
    ['vpc', 'the differencing type', (copy) => copy.writeUInt32BE(4, 60), /expected type/],
    ['vpc', 'a parent', (copy) => copy.writeUInt32BE(4, 512 + 40), /names a parent/],
    ['vpc', 'a huge block table', (copy) => copy.writeUInt32BE(0xffffffff, 512 + 28), /block table of/],
    ['vdi', 'the differencing type', (copy) => copy.writeUInt32LE(4, 0x4c), /expected type/],
    ['vdi', 'a parent', (copy) => copy.writeUInt32LE(4, 0x1b8), /names a parent/],
    ['vdi', 'a linked image', (copy) => copy.writeUInt32LE(4, 0x1a8), /names a link/],
    ['vdi', 'a huge block map', (copy) => copy.writeUInt32LE(0xffffffff, 0x180), /block map of/],
    ['vdi', 'blocks past the end', (copy) => copy.writeUInt32LE(8, 0x184), /8 blocks need a file/],
    ['vhdx', 'wrong headers', (copy) => (copy.fill(0, 65540, 65544), copy.fill(0, 131076, 131080)), /neither header/],
    [
      'vhdx',
      'wrong region tables',
      (copy) => (copy.fill(0, 196612, 196616), copy.fill(0, 262148, 262152)),
      /neither region/,
    ],
  ])('a %s with %s is not safe', async (driver, _what, patch, reason) => {
    const inspection = await inspect(patched(await qemuImage(driver), patch));
    expect(inspection).toMatchObject({ format: driver === 'vpc' ? 'vhd' : driver, safe: false });
    expect(inspection.reasons.join('; ')).toMatch(reason);
  });

  test('one wrong copy of a VHDX header or table does no harm', async () => {
    const bytes = await qemuImage('vhdx');
    const copy = patched(bytes, (half) => (half.fill(0, 65540, 65544), half.fill(0, 196612, 196616)));
    expect(await inspect(copy)).toMatchObject({ safe: true, virtualSizeBytes: 8 * 1024 * 1024 });
  });

  test('a file whose end was cut off is noticed where the header says so', async () => {
    const path = join(folder, 'cut.vpc');
    await writeFile(path, await qemuImage('vpc'));
    await copyFile(path, `${path}.copy`);
    const file = await open(`${path}.copy`, 'r+');
    await file.truncate(1600);
    await file.close();
    expect((await inspect(await readFile(`${path}.copy`))).reasons).toContain(
      'vhd: the file does not end with a footer',
    );
  });
});

function replaceText(bytes: Buffer, from: string, to: string): void {
  const at = bytes.indexOf(from);
  expect(at).toBeGreaterThan(0);
  bytes.write(to.padEnd(from.length).slice(0, Math.max(from.length, to.length)), at, 'latin1');
}
