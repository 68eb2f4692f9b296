/** What goes to a copying thread, and comes back. */
import type { CopiedUnit, CopiedUnits } from '../../application/ports/unit-copier.js';

export interface CopyTask {
  readonly from: number;
  readonly to: number;
  readonly units: readonly CopiedUnit[];
}

/** The error of a system call that wrote: an error that crosses threads loses its code. */
export interface CopyFailure {
  readonly code: string;
  readonly message: string;
}

export type CopyAnswer = CopiedUnits | CopyFailure;
