/** What the content of a file was found to be, by its headers alone. */
export const DETECTED_FORMATS = [
  'raw',
  'qcow2',
  'qcow',
  'qed',
  'vmdk',
  'vhd',
  'vhdx',
  'vdi',
  'iso',
  'gpt',
  'luks',
] as const;
export type DetectedFormat = (typeof DETECTED_FORMATS)[number];

export interface Inspection {
  readonly format: DetectedFormat;
  /** Size of the disk inside; null when the header does not give a usable one. */
  readonly virtualSizeBytes: number | null;
  /** False when a host that opens the file could be led elsewhere or into trouble. */
  readonly safe: boolean;
  /** Why it is not safe: what was expected and what was found. */
  readonly reasons: readonly string[];
}

/** Collects what speaks against a header. */
export class Verdict {
  readonly #format: DetectedFormat;
  readonly #reasons: string[] = [];

  constructor(format: DetectedFormat) {
    this.#format = format;
  }

  /** Notes the reason unless the condition holds, and returns the condition. */
  expect(condition: boolean, reason: string): boolean {
    if (!condition) this.#reasons.push(`${this.#format}: ${reason}`);
    return condition;
  }

  /** Ends the inspection; a size that no number can hold exactly is one more reason. */
  close(virtualSizeBytes: number | null): Inspection {
    const usable = virtualSizeBytes === null || (Number.isSafeInteger(virtualSizeBytes) && virtualSizeBytes >= 0);
    this.expect(usable, `virtual size ${virtualSizeBytes} is not below 2^53`);
    return {
      format: this.#format,
      virtualSizeBytes: usable ? virtualSizeBytes : null,
      safe: this.#reasons.length === 0,
      reasons: [...this.#reasons],
    };
  }
}
