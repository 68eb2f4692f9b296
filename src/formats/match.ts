import type { Inspection } from './inspection.js';

/** Whether content and `disk_format` go together. */
export type FormatMatch = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** Values of `disk_format` whose content has a header that `inspectImage` knows. */
const RECOGNISED: readonly string[] = ['qcow2', 'qcow', 'qed', 'vmdk', 'vhd', 'vhdx', 'vdi', 'iso', 'luks', 'gpt'];

/**
 * Compares content with what `disk_format` says (Images API v2 §6.6 "Inspection rules"): a format with a header must have it;
 * raw, and formats that have no header we know (ami, ari, aki, ploop and what an operator adds), must not carry another
 * format's; a partition table is raw content. Applies to container format `bare`, and only to data that exists; safety is
 * the inspection's own verdict.
 */
export function checkDeclaredFormat(declared: string, inspection: Inspection): FormatMatch {
  const expected = RECOGNISED.includes(declared) ? [declared] : ['raw', 'gpt'];
  if (expected.includes(inspection.format)) return { ok: true };
  return { ok: false, message: `disk_format is ${declared}, but the content is ${inspection.format}` };
}
