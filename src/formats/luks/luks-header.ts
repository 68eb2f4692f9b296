/**
 * The header of LUKS (LUKS On-Disk Format 1.2.3, "phdr"; LUKS2 On-Disk Format, "binary header"). Big-endian: magic
 * "LUKS\xba\xbe" at 0, version at 6 (2 bytes); version 1: payload offset in sectors of 512 bytes at 104 (4 bytes).
 */
import { type ImageFile, hasText } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const V1_HEADER_BYTES = 592;
const SECTOR_BYTES = 512;

/** Inspects a LUKS header; undefined for other content. The virtual size of version 2 lies in its JSON: null. */
export function inspectLuks(file: ImageFile): Inspection | undefined {
  const { head } = file;
  if (!hasText(head, 0, 'LUKS\xba\xbe')) return undefined;
  const verdict = new Verdict('luks');
  const version = head.length < 8 ? 0 : head.readUInt16BE(6);
  verdict.expect(version === 1 || version === 2, `expected version 1 or 2, found ${version}`);
  verdict.expect(head.length >= V1_HEADER_BYTES, `a header has ${V1_HEADER_BYTES} bytes, the file ${head.length}`);
  if (version !== 1 || head.length < V1_HEADER_BYTES) return verdict.close(null);
  const payloadOffset = head.readUInt32BE(104) * SECTOR_BYTES;
  const inside = payloadOffset <= file.sizeBytes;
  verdict.expect(inside, `the payload starts at ${payloadOffset}, the file ends at ${file.sizeBytes}`);
  return verdict.close(inside ? file.sizeBytes - payloadOffset : null);
}
