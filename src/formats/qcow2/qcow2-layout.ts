/**
 * What the header of a qcow2 says about where its disk lies (qcow2.rst, "Header"; the fields are drawn in qcow2-header.ts).
 */
import { ServiceError } from '../../base/service-error.js';
import { type ImageFile, uint64be } from '../image-file.js';
import { inspectQcow2 } from './qcow2-header.js';

const INCOMPATIBLE_COMPRESSION = 8n;
const INCOMPATIBLE_EXTENDED_L2 = 16n;

export interface Qcow2Layout {
  readonly fileBytes: number;
  readonly version: number;
  readonly clusterBits: number;
  readonly clusterBytes: number;
  /** Size of the disk inside. */
  readonly diskBytes: number;
  readonly l1OffsetBytes: number;
  /** Entries of the L1 table that the disk needs. */
  readonly l1Count: number;
  /** 16 with extended entries, whose clusters have 32 subclusters. */
  readonly l2EntryBytes: 8 | 16;
  /** Entries of an L2 table. */
  readonly l2Count: number;
  readonly compression: 'zlib' | 'zstd';
}

/** Reads the header. UNSUPPORTED_MEDIA: it is none of a disk that can be read here, and why. */
export function readLayout(file: ImageFile): Qcow2Layout {
  const inspection = inspectQcow2(file);
  if (inspection === undefined) throw refused('the file has no header of version 2 or 3');
  if (!inspection.safe) throw new ServiceError('UNSUPPORTED_MEDIA', inspection.reasons.join('; '));
  const { head } = file;
  const encryption = head.readUInt32BE(32);
  if (encryption !== 0) throw refused(`encrypted disks cannot be read, this one has encryption ${encryption}`);
  const version = head.readUInt32BE(4);
  const clusterBits = head.readUInt32BE(20);
  const clusterBytes = 2 ** clusterBits;
  const incompatible = version === 2 ? 0n : head.readBigUInt64BE(72);
  const l2EntryBytes = (incompatible & INCOMPATIBLE_EXTENDED_L2) === 0n ? 8 : 16;
  const l2Count = clusterBytes / l2EntryBytes;
  const diskBytes = uint64be(head, 24);
  return {
    ...{ fileBytes: file.sizeBytes, version, clusterBits, clusterBytes, diskBytes, l2EntryBytes, l2Count },
    l1OffsetBytes: uint64be(head, 40),
    l1Count: Math.ceil(diskBytes / (l2Count * clusterBytes)),
    compression: (incompatible & INCOMPATIBLE_COMPRESSION) === 0n ? 'zlib' : 'zstd',
  };
}

/** The error for a file that is not as the format says. */
export function refused(what: string): ServiceError {
  return new ServiceError('UNSUPPORTED_MEDIA', `qcow2: ${what}`);
}
