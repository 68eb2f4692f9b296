/** ISO 9660 (ECMA-119, 8.1): from sector 16 on, of 2 048 bytes each, volume descriptors: type, "CD001", version. */
import { type ImageFile, hasText } from '../image-file.js';
import { type Inspection, Verdict } from '../inspection.js';

const DESCRIPTOR_OFFSET = 16 * 2048;

/** Recognises a CD image; undefined for other content. What a guest sees is the file as it is. */
export function inspectIso(file: ImageFile): Inspection | undefined {
  if (!hasText(file.head, DESCRIPTOR_OFFSET + 1, 'CD001')) return undefined;
  return new Verdict('iso').close(file.sizeBytes);
}
