import { inspectGpt } from './gpt/gpt-header.js';
import { type ImageFile, type ReadAt, openImageFile } from './image-file.js';
import type { Inspection } from './inspection.js';
import { inspectIso } from './iso/iso-header.js';
import { inspectLuks } from './luks/luks-header.js';
import { inspectQcow } from './qcow/qcow-header.js';
import { inspectQcow2 } from './qcow2/qcow2-header.js';
import { inspectQed } from './qed/qed-header.js';
import { inspectVdi } from './vdi/vdi-header.js';
import { inspectVhd } from './vhd/vhd-header.js';
import { inspectVhdx } from './vhdx/vhdx-header.js';
import { inspectVmdk } from './vmdk/vmdk-header.js';

/** Looks at a file; undefined when it is not of the format. */
type Inspector = (file: ImageFile) => Inspection | undefined | Promise<Inspection | undefined>;

/** Those with a magic number at the very start come first: readers that guess believe it most. */
const INSPECTORS: readonly Inspector[] = [
  inspectQcow2,
  inspectQcow,
  inspectQed,
  inspectVmdk,
  inspectVhdx,
  inspectLuks,
  inspectVdi,
  inspectVhd,
  inspectIso,
  inspectGpt,
];

/**
 * Finds out what a file is, by its headers (Images API v2 §6.6 "Inspection rules", §14.3). At most 20 reads of at most 64 KiB
 * each, whatever the bytes say; it throws only what `readAt` throws. Content that nothing recognises is raw. Content of two
 * formats at once is not safe: two readers would see two disks.
 */
export async function inspectImage(readAt: ReadAt, fileSizeBytes: number): Promise<Inspection> {
  const file = await openImageFile(readAt, fileSizeBytes);
  const found: Inspection[] = [];
  for (const inspect of INSPECTORS) {
    const inspection = await inspect(file);
    if (inspection !== undefined) found.push(inspection);
  }
  return combine(found, fileSizeBytes);
}

function combine(found: readonly Inspection[], fileSizeBytes: number): Inspection {
  const [first, ...others] = found;
  if (first === undefined) return { format: 'raw', virtualSizeBytes: fileSizeBytes, safe: true, reasons: [] };
  // A hybrid ISO carries a partition table (isohybrid), and a fixed VHD is a raw disk with a footer.
  const strangers = others.filter(
    (other) => !(other.format === 'gpt' && (first.format === 'iso' || first.format === 'vhd')),
  );
  if (strangers.length === 0) return first;
  const names = [first, ...strangers].map((inspection) => inspection.format).join(' and ');
  return { ...first, safe: false, reasons: [`the content is ${names} at once`, ...first.reasons] };
}
