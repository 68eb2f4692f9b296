import type { ReplicaLog } from './replica-log.js';
import type { SyncFailureKind } from './sync-failure.js';

/** Where the replica comes from, and with what right. */
export interface ReplicaSource {
  /** The primary's address, `http://` or `https://`. */
  readonly syncUrl: string;
  /** A token that may read. */
  readonly authToken: string;
  /** File of the certificates that sign the primary's; the system's when absent. */
  readonly caFile?: string;
}

/**
 * A sync that failed: see SyncFailureKind; `source`: nobody told where to sync from; `hung`: no answer in time, the process
 * was killed; `ended`: the process ended by itself, or somebody killed it.
 */
export interface FailedSync {
  readonly kind: SyncFailureKind | 'source' | 'hung' | 'ended';
  readonly message: string;
}

export interface SyncListener {
  onSynced(): void;
  onFailed(failure: FailedSync): void;
}

/** The part of the sync that chooses what it works on. */
export interface SyncControl {
  /** Syncs this file from now on. */
  follow(path: string): void;
  /** Syncs nothing until `follow`. */
  rest(): void;
}

export interface SyncOptions {
  /** Asked before each start of the process; may fail, and is asked again then. */
  readonly source: () => Promise<ReplicaSource>;
  readonly lockPath: string;
  readonly syncIntervalMs: number;
  /** A process that says nothing for so long, while its file stays as it is, counts as hung. */
  readonly answerTimeoutMs: number;
  readonly log: ReplicaLog;
}

export function sameSource(one: ReplicaSource, other: ReplicaSource): boolean {
  return one.syncUrl === other.syncUrl && one.authToken === other.authToken && one.caFile === other.caFile;
}
