/** What a lane does for the table of operations besides writing to it. */

/**
 * Forgets operations. ?1: those older than this, ?2: of at most so many. Rows are numbered in the order of time, so the oldest are
 * the first and need no index on the time. The newest stays, or the numbers, which tokens of the feed hold, would start again.
 */
export const PRUNE_OPERATIONS =
  'delete from ops where at_ms < ?1 and seq in (select seq from ops order by seq limit ?2) and seq < (select max(seq) from ops)';

/** Notes where the epoch begins; before the first operation of each epoch. */
export const NOTE_EPOCH =
  'insert or ignore into feed_epochs (epoch, seq) ' +
  "select value, (select coalesce(max(seq), 0) from ops) from meta where name = 'epoch'";
