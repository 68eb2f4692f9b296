/** What the node and the process that syncs its replica say to each other, as JSON over the fork's channel. */

/** What the process works on. By message and not as an argument: arguments of a process are for everybody to read. */
export interface SyncSettings {
  /** The replica's file. */
  readonly path: string;
  /** The file whose lock lets one process sync at a time. */
  readonly lockPath: string;
  readonly syncUrl: string;
  readonly authToken: string;
  /** Pause between the end of one sync and the next, unless one is asked for. */
  readonly syncIntervalMs: number;
}

/** `serial` numbers the demands: a report names the last one that it answers. */
export type SyncRequest =
  | { readonly kind: 'start'; readonly settings: SyncSettings; readonly serial: number }
  | { readonly kind: 'sync-now'; readonly serial: number }
  | { readonly kind: 'close' };

/** Where an attempt failed: at the lock, before there was a connection, or in a sync. */
export type SyncStage = 'lock' | 'open' | 'sync';

export type SyncReport =
  /** A sync that began after demand `serial` is done. */
  | { readonly kind: 'synced'; readonly serial: number }
  | { readonly kind: 'failed'; readonly serial: number; readonly stage: SyncStage; readonly message: string };

/** The channel carries nothing but these, so the kind is all that is looked at. */
export function isSyncRequest(message: unknown): message is SyncRequest {
  return ['start', 'sync-now', 'close'].includes(kindOf(message));
}

export function isSyncReport(message: unknown): message is SyncReport {
  return ['synced', 'failed'].includes(kindOf(message));
}

function kindOf(message: unknown): string {
  return typeof message === 'object' && message !== null && 'kind' in message && typeof message.kind === 'string'
    ? message.kind
    : '';
}
