import type { LaneReport, LaneRequest } from './lane-protocol.js';

/** What the owner of a lane's writer is told. */
export interface LaneListener {
  onReport(report: LaneReport): void;
  /** It is gone, for whatever reason; nothing follows. */
  onExit(how: string): void;
}

/**
 * One run of what applies a lane's groups: a process over a local file, or a connection to `sqld`. It reports `ready` or
 * `not-opened` once, then `answers` to each group; the lane starts another one when it is gone, and sends the group under
 * way again.
 */
export interface LaneWriter {
  /** The process that writes, where it is one of ours. */
  readonly pid: number | undefined;
  send(request: LaneRequest): void;
  /** Ends it at once; the operations' ids keep a group that is sent again from happening twice. */
  kill(): void;
  /** Resolves when it is gone. */
  exited(): Promise<void>;
}

/** Starts a writer. */
export type StartLaneWriter = (listener: LaneListener) => LaneWriter;
