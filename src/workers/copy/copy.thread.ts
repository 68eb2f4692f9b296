/** Copies units with plain reads and writes, as `cp` does: a thread pays no way to the event loop and back for each of them. */
import '../../hostfs/readable-stacks.js';
import { readSync, writeSync } from 'node:fs';
import os from 'node:os';
import { UNIT_BYTES } from '../../base/units.js';
import { errnoOf } from '../../hostfs/fs-error.js';
import { dataRunsOf } from '../../hostfs/sparse-runs.js';
import { unitDigest } from '../digest/unit-digest.js';
import type { CopyAnswer, CopyTask } from './copy-protocol.js';

/**
 * A call writes no more than this. For longer ones ext4 takes larger pages for its cache, and in a guest whose free memory went back
 * to the host those are slow to get: 512 MiB took 0.2 to 0.4 s by calls of 128 KiB, 1.1 s of 256 KiB and 1.4 s of 1 MiB (Linux 6.18).
 */
const WRITE_BYTES = 128 * 1024;
/** Lower than the event loop, which answers everyone else on the same cores. */
const NICENESS = 5;

// Linux takes 0 for the calling thread; elsewhere it is the whole process, which would gain nothing.
if (process.platform === 'linux') os.setPriority(0, NICENESS);

const buffer = Buffer.allocUnsafeSlow(UNIT_BYTES);

export default function copyUnits({ from, to, units }: CopyTask): CopyAnswer {
  let count = 0;
  let writtenBytes = 0;
  try {
    for (const unit of units) {
      const bytes = readUnit(from, unit);
      if (bytes === undefined) break;
      for (const { start, end } of dataRunsOf(bytes, unit.offsetBytes)) {
        writeAll(to, bytes.subarray(start, end), unit.offsetBytes + start);
        writtenBytes += end - start;
      }
      count += 1;
    }
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    return { code, message: error.message };
  }
  return { count, writtenBytes };
}

/** The bytes of the unit; undefined when they cannot be read or are others. */
function readUnit(from: number, { offsetBytes, lengthBytes, digest }: CopyTask['units'][number]): Buffer | undefined {
  const bytes = buffer.subarray(0, lengthBytes);
  let read = 0;
  try {
    while (read < lengthBytes) {
      const more = readSync(from, bytes, read, lengthBytes - read, offsetBytes + read);
      if (more === 0) return undefined;
      read += more;
    }
  } catch {
    return undefined;
  }
  return digest === null || Buffer.compare(unitDigest(bytes), digest) === 0 ? bytes : undefined;
}

function writeAll(to: number, bytes: Uint8Array, offsetBytes: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(to, bytes, written, Math.min(WRITE_BYTES, bytes.length - written), offsetBytes + written);
}
