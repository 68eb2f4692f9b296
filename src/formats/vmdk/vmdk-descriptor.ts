/**
 * The text part of a VMDK (Virtual Disk Format 5.0, "The Descriptor File"): `name = value` lines, and a line for each extent:
 *
 *   createType="monolithicSparse"
 *   RW 131072 SPARSE "disk.vmdk"
 */
import type { Verdict } from '../inspection.js';

/** Kinds that are one file and name nothing outside it (Images API v2 §14.3). */
const ACCEPTED_TYPES: readonly string[] = ['monolithicSparse', 'streamOptimized'];
const NO_PARENT = /^f{8}$/i;
const EXTENT = /^(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\S+)\s*(?:"([^"]*)")?/i;

/** Checks what the descriptor refers to, and returns whether it is of a kind that is accepted. */
export function checkDescriptor(verdict: Verdict, text: string): boolean {
  const lines = text.split(/[\r\n]+/).map((line) => line.trim());
  const types = valuesOf(lines, 'createType');
  const [type = ''] = types;
  const accepted = types.length === 1 && ACCEPTED_TYPES.includes(type);
  verdict.expect(accepted, `expected createType monolithicSparse or streamOptimized, found ${quote(types.join(', '))}`);
  verdict.expect(
    valuesOf(lines, 'parentCID').every((value) => NO_PARENT.test(value)) &&
      valuesOf(lines, 'parentFileNameHint').length === 0,
    'it names a parent',
  );
  const extents = lines.flatMap((line) => {
    const match = EXTENT.exec(line);
    return match === null ? [] : [{ kind: match[1] ?? '', name: match[2] ?? '' }];
  });
  verdict.expect(extents.length === 1, `expected one extent, found ${extents.length}`);
  for (const { kind, name } of extents) {
    verdict.expect(kind === 'SPARSE', `expected a SPARSE extent, found ${quote(kind)}`);
    verdict.expect(!/[/\\:]/.test(name) && !name.startsWith('.'), `its extent has a path: ${quote(name)}`);
  }
  return accepted;
}

function valuesOf(lines: readonly string[], name: string): string[] {
  const prefix = name.toLowerCase();
  return lines.flatMap((line) => {
    const equals = line.indexOf('=');
    if (equals < 0 || line.slice(0, equals).trim().toLowerCase() !== prefix) return [];
    return [
      line
        .slice(equals + 1)
        .trim()
        .replaceAll('"', ''),
    ];
  });
}

/** Text from an image for a message: short, and without control characters. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
