/**
 * The header of QED (QEMU, docs/interop/qed_spec.txt). Little-endian: magic "QED\0" at 0, features at 16 (8 bytes; bit 0: has
 * a backing file), virtual size at 48 (8 bytes).
 */
import { type ImageFile, hasText, uint64le } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const HEADER_BYTES = 64;

/** Inspects a QED header; undefined for other content. Never safe: QEMU gave the format up. */
export function inspectQed(file: ImageFile): Inspection | undefined {
  const { head } = file;
  if (!hasText(head, 0, 'QED\0') || head.length < HEADER_BYTES) return undefined;
  const verdict = new Verdict('qed');
  verdict.expect(false, 'the format is not accepted; convert the image to qcow2');
  verdict.expect((head.readUInt32LE(16) & 1) === 0, 'it has a backing file');
  return verdict.close(uint64le(head, 48));
}
