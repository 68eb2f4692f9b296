import { join } from 'node:path';

/**
 * What a primary keeps in its data folder:
 *
 *   sqld/dbs/default/data   the catalog: the file that `sqld` writes and that we read
 *   sqld/…                  the log for replicas, snapshots of it, and what else `sqld` keeps
 *   keys/tokens.key, .pub   the pair that signs tokens for `sqld`
 */
export function primaryFolder(dataDir: string): {
  readonly sqld: string;
  readonly catalog: string;
  readonly keys: string;
} {
  const sqld = join(dataDir, 'sqld');
  return { sqld, catalog: join(sqld, 'dbs', 'default', 'data'), keys: join(dataDir, 'keys') };
}
