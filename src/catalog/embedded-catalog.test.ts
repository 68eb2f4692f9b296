import { join } from 'node:path';
import { expect, test } from 'vitest';
import { catalogCases } from '../../test/catalog-suite/catalog-cases.js';
import { tempFolder } from '../../test/support/temp-folder.js';
import { asNodeId } from '../base/brand.js';
import { Connection } from './connection.js';
import { openEmbeddedCatalog } from './embedded-catalog.js';

catalogCases(async (directory) => {
  const catalog = await openEmbeddedCatalog({ path: join(directory, 'catalog.db') });
  return { catalog, close: async () => await catalog.close() };
});

test('work of a kind that a newer release knows is left to that one', async () => {
  const folder = await tempFolder('newer-work');
  const path = join(folder.path, 'catalog.db');
  const catalog = await openEmbeddedCatalog({ path });
  const id = '00000000-0000-4000-8000-000000000001';
  const connection = new Connection(path, 'writer');
  for (const kind of ['a-new-one', 'hash'])
    connection.run('insert into image_work (node_id, kind, image_id) values (?, ?, ?)', 'n', kind, id);
  connection.close();
  const work = await catalog.read((reader) => reader.work(asNodeId('n'), undefined, 1));
  expect(work.map(({ kind }) => kind)).toEqual(['hash']);
  await catalog.close();
  await folder.remove();
});
