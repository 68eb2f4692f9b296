import { readdirSync } from 'node:fs';
import path from 'node:path';
import { Connection } from '../../src/catalog/connection.js';
import { primaryFolder } from '../../src/catalog/primary/primary-folder.js';

const TABLES = ['images', 'image_members', 'uploads', 'garbage', 'nodes', 'ops', 'feed_epochs', 'meta'] as const;

/** Every row of the tables of a catalog's file, as text. */
function rowsOf(file: string): string {
  const connection = new Connection(file, 'reader');
  try {
    return TABLES.map((table) => {
      const rows = connection.all(`select * from ${table}`).map((row) => JSON.stringify(row));
      return `${table}\n${rows.sort().join('\n')}`;
    }).join('\n');
  } finally {
    connection.close();
  }
}

/** The rows of the authority's catalog. */
export function primaryRows(dataDir: string): string {
  return rowsOf(primaryFolder(dataDir).catalog);
}

/** The rows of an edge's copy, which must be alone in its folder. */
export function replicaRows(dataDir: string): string {
  const folder = path.join(dataDir, 'replica');
  const copies = readdirSync(folder).filter((name) => /^replica\.\d+\.db$/.test(name));
  if (copies.length !== 1) throw new Error(`expected one copy, found ${copies.join(', ')}`);
  return rowsOf(path.join(folder, copies[0] ?? ''));
}
