/** More starts of a catalog's server than its history will see between two terms: each start raises the epoch by one. */
const STARTS = 1_000_000;

/**
 * The epoch with which a catalog goes on after a restore or a promotion: later than any that another catalog of the same
 * cluster may have reached. Above `known`, the latest epoch that was found here, by far more than the other one can have
 * gained by starting; and not under the time in milliseconds, so that one whose folder was lost is passed as well.
 */
export function nextTerm(known: number, nowMs: number): number {
  return Math.max(known + STARTS, nowMs);
}
