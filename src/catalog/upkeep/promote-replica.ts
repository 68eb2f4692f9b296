import { existsSync, statSync } from 'node:fs';
import { ServiceError } from '../../base/service-error.js';
import type { Connection } from '../connection.js';
import { textAt } from '../connection.js';
import { primaryFolder } from '../primary/primary-folder.js';
import { edgePlace } from './catalog-place.js';
import { epochOfFile, installCatalog, type Installed } from './install-catalog.js';
import { type CatalogReport, requireSound } from './verify-catalog.js';

/** What an edge's copy has, for the operator to judge what may be missing. */
export interface Candidate {
  readonly file: string;
  readonly report: CatalogReport;
  /** When something of the catalog arrived last, in milliseconds since 1970, by this machine's clock. */
  readonly arrivedAtMs: number;
}

/** Looks at the copy in an edge's data folder. NOT_FOUND: there is none. DATA_CORRUPT: it is not sound. */
export function candidateOf(dataDir: string): Candidate {
  const place = edgePlace(dataDir);
  if (place === undefined || !existsSync(place.file))
    throw new ServiceError('NOT_FOUND', `${dataDir} holds no copy of a catalog: name the data folder of an edge`);
  const arrivals = ['', '-wal'].map((part) => statSync(place.file + part, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  // Before the look: opening a file may touch its log.
  const arrivedAtMs = Math.max(...arrivals);
  return { file: place.file, report: requireSound(place.file, 'the copy'), arrivedAtMs };
}

/**
 * Makes the edge's copy the catalog of a new authority, in the same data folder, under an epoch that is later than any the
 * old one can reach. What was the old authority's without a name (images from before it was in a cluster) gets its name, so
 * that it is looked for there and not here. The copy itself stays as it is.
 */
export function promoteReplica({ file }: Candidate, dataDir: string, nowMs: number): Installed {
  const knownEpoch = epochOfFile(primaryFolder(dataDir).catalog);
  return installCatalog({ from: file, dataDir, as: 'primary', knownEpoch, nowMs, amend: nameTheUnnamed });
}

const UNNAMED = "json_extract(value, '$.nodeId') is null";

function nameTheUnnamed(catalog: Connection): void {
  const row = catalog.get("select node_id from nodes where role = 'authority' order by seen_at desc limit 1");
  if (row === undefined) return;
  const authority = textAt(row, 0);
  catalog.run(
    'update images set locations = (select json_group_array(json(' +
      `case when ${UNNAMED} then json_set(value, '$.nodeId', ?1) else value end)) from json_each(locations)) ` +
      `where exists (select 1 from json_each(locations) where ${UNNAMED})`,
    authority,
  );
  catalog.run("update or ignore garbage set node_id = ? where node_id = ''", authority);
}
