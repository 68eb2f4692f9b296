/**
 * The header of qcow, version 1 of the format that became qcow2 (QEMU, block/qcow.c). Big-endian: magic "QFI\xfb" at 0,
 * version 1 at 4, backing file name's offset at 8 (8 bytes), its length at 16, virtual size at 24 (8 bytes).
 */
import { type ImageFile, hasText, uint64be } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const HEADER_BYTES = 48;

/** Inspects a qcow header; undefined for other content. */
export function inspectQcow(file: ImageFile): Inspection | undefined {
  const { head } = file;
  if (!hasText(head, 0, 'QFI\xfb') || head.length < HEADER_BYTES || head.readUInt32BE(4) !== 1) return undefined;
  const verdict = new Verdict('qcow');
  verdict.expect(uint64be(head, 8) === 0, 'it has a backing file');
  return verdict.close(uint64be(head, 24));
}
