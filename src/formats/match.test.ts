import { describe, expect, test } from 'vitest';
import { DETECTED_FORMATS, type DetectedFormat } from './inspection.js';
import { checkDeclaredFormat } from './match.js';

function content(format: DetectedFormat) {
  return { format, virtualSizeBytes: 1, safe: true, reasons: [] };
}

describe('declared and found format', () => {
  test.each(['qcow2', 'vmdk', 'vhd', 'vhdx', 'vdi', 'iso', 'luks', 'qed', 'qcow'] as const)(
    '%s must be what it says',
    (format) => {
      for (const found of DETECTED_FORMATS) {
        expect(checkDeclaredFormat(format, content(found)).ok).toBe(found === format);
      }
    },
  );

  test.each(['raw', 'ami', 'aki', 'ari', 'ploop', 'of-the-operator'])(
    '%s takes raw content and a partition table',
    (declared) => {
      for (const found of DETECTED_FORMATS) {
        expect(checkDeclaredFormat(declared, content(found)).ok).toBe(found === 'raw' || found === 'gpt');
      }
    },
  );

  test('says what was declared and what came', () => {
    expect(checkDeclaredFormat('raw', content('qcow2'))).toEqual({
      ok: false,
      message: 'disk_format is raw, but the content is qcow2',
    });
  });
});
