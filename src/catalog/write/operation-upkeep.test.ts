import { expect, test } from 'vitest';
import { Connection } from '../connection.js';
import { PRUNE_OPERATIONS } from './operation-upkeep.js';

test('forgets the oldest in their order alone: a clock that was set tears no hole behind those that stay', () => {
  const connection = new Connection(':memory:', 'writer');
  connection.exec('create table ops (seq integer primary key, at_ms integer not null) strict');
  const times = [10, 20, 9000, 30, 40];
  for (const [index, atMs] of times.entries()) connection.run('insert into ops values (?, ?)', index + 1, atMs);
  const left = (): unknown => connection.all('select seq from ops order by seq').map((row) => row[0]);
  connection.run(PRUNE_OPERATIONS, 100, 500);
  expect(left()).toEqual([3, 4, 5]);
  connection.run(PRUNE_OPERATIONS, 10_000, 2);
  expect(left()).toEqual([5]);
  connection.run(PRUNE_OPERATIONS, 10_000, 2);
  expect(left()).toEqual([5]);
  connection.close();
});
