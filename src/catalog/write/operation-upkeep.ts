/** What a lane does for the table of operations besides writing to it. */

/**
 * Forgets operations. ?1: those older than this, ?2: of at most so many. Rows are numbered in the order of time, so the oldest are
 * the first and need no index on the time; those behind the first young one stay, or a clock that was set would tear a hole that
 * no token could tell. The newest stays, or the numbers, which tokens of the feed hold, would start again.
 */
export const PRUNE_OPERATIONS =
  'delete from ops where seq in (select seq from ops order by seq limit ?2) and seq < (select max(seq) from ops) ' +
  'and seq < coalesce((select min(seq) from (select seq, at_ms from ops order by seq limit ?2) where at_ms >= ?1), 9e15)';

/**
 * Gives the catalog of a cluster a number of its own, which backups and copies keep: epochs of other catalogs say nothing about it.
 * 53 bits, so that it is a number everywhere.
 */
export const NAME_CATALOG = "insert or ignore into meta (name, value) values ('catalog_id', abs(random() / 2048))";

/** Notes where the epoch begins; before the first operation of each epoch. */
export const NOTE_EPOCH =
  'insert or ignore into feed_epochs (epoch, seq) ' +
  "select value, (select coalesce(max(seq), 0) from ops) from meta where name = 'epoch'";
