/**
 * The feed of changes: what each operation did, in its row of `ops` (docs/decisions/0070), and the last operation before each
 * epoch, by which a token of a history that is gone is told from one that holds. `events` is JSON (feed/event-text.ts), null when
 * nobody is told.
 */
export const SQL = `
alter table ops add column events text;

create table feed_epochs (
  epoch integer primary key,
  seq integer not null
) strict;
`;
