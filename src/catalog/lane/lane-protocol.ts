/** What the node and the process of its write lane say to each other, as JSON over the fork's channel. */
import type { SqlValue } from '../connection.js';
import type { StatementName } from '../write/statements.js';

/** How the lane's process is started: its one argument, as JSON. */
export interface LaneSettings {
  readonly path: string;
  /** Operations older than this are forgotten. */
  readonly retentionMs: number;
  readonly pruneEveryMs: number;
}

export interface LaneOperation {
  readonly opId: string;
  /** New for each call of `write`: tells a retry of the lane's own from a repeat by the caller. */
  readonly nonce: string;
  readonly subject: string;
  readonly atMs: number;
  /** What the feed tells of it (feed/event-text.ts); null: nothing. */
  readonly events: string | null;
  readonly steps: readonly { readonly statement: StatementName; readonly values: readonly SqlValue[] }[];
}

export type LaneRequest =
  | { readonly kind: 'group'; readonly operations: readonly LaneOperation[] }
  | { readonly kind: 'close' };

/**
 * - `applied`: it is durable. `known`: an operation with this id was applied at `frame`, by the call with `nonce`.
 * - `refused`: step `step` broke a constraint (`constraint`) or could not run; nothing of the operation is kept.
 * - `unavailable`: the file could not be written, as a rule for the whole group; nothing of the operation is kept.
 */
export type LaneAnswer =
  | { readonly kind: 'applied'; readonly frame: number }
  | { readonly kind: 'known'; readonly frame: number; readonly nonce: string }
  | { readonly kind: 'refused'; readonly step: number; readonly constraint: boolean; readonly message: string }
  | { readonly kind: 'unavailable'; readonly message: string };

export type LaneReport =
  | { readonly kind: 'ready'; readonly epoch: number; readonly frame: number }
  | { readonly kind: 'not-opened'; readonly reason: string; readonly message: string }
  /** Upkeep failed and will be tried again. */
  | { readonly kind: 'trouble'; readonly message: string }
  | { readonly kind: 'answers'; readonly answers: readonly LaneAnswer[] };

/** The channel carries nothing but these, so the kind is all that is looked at. */
export function isLaneRequest(message: unknown): message is LaneRequest {
  return kindOf(message) === 'group' || kindOf(message) === 'close';
}

export function isLaneReport(message: unknown): message is LaneReport {
  return ['ready', 'not-opened', 'trouble', 'answers'].includes(kindOf(message));
}

function kindOf(message: unknown): string {
  return typeof message === 'object' && message !== null && 'kind' in message && typeof message.kind === 'string'
    ? message.kind
    : '';
}
