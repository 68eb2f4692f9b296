import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import type { Connection } from '../connection.js';
import { textAt } from '../connection.js';
import { primaryFolder } from '../primary/primary-folder.js';
import { completeAtMs } from '../replica/last-news.js';
import { edgePlace } from './catalog-place.js';
import { readFence } from '../primary/fence-mark.js';
import { epochOfFile, installCatalog, type Installed, knownEpochIn } from './install-catalog.js';
import { type CatalogReport, requireSound } from './verify-catalog.js';

/** What an edge's copy has, for the operator to judge what may be missing. */
export interface Candidate {
  readonly file: string;
  readonly report: CatalogReport;
  /** When it had all that the authority had, in milliseconds since 1970, by this machine's clock; null: not known. */
  readonly completeAtMs: number | null;
}

/** Looks at the copy in an edge's data folder. NOT_FOUND: there is none. DATA_CORRUPT: it is not sound. */
export function candidateOf(dataDir: string): Candidate {
  const place = edgePlace(dataDir);
  if (place === undefined || !existsSync(place.file))
    throw new ServiceError('NOT_FOUND', `${dataDir} holds no copy of a catalog: name the data folder of an edge`);
  const news = join(dataDir, 'replica', 'replica.news');
  const complete = existsSync(news) ? completeAtMs(readFileSync(news, 'utf8')) : undefined;
  return { file: place.file, report: requireSound(place.file, 'the copy'), completeAtMs: complete ?? null };
}

/**
 * Makes the edge's copy the catalog of a new authority, in the same data folder, under an epoch that is later than any the
 * old one can reach. What was the old authority's without a name (images from before it was in a cluster) gets its name, so
 * that it is looked for there and not here. The copy itself stays as it is.
 */
export function promoteReplica({ file, report }: Candidate, dataDir: string, nowMs: number): Installed {
  refuseAuthority(dataDir, report.position?.epoch ?? 0);
  const knownEpoch = knownEpochIn(dataDir);
  return installCatalog({ from: file, dataDir, as: 'primary', knownEpoch, nowMs, amend: nameTheUnnamed });
}

/** STATE_CONFLICT: the folder is an authority's already, whose catalog is newer than the copy that it once had as an edge. */
function refuseAuthority(dataDir: string, copyEpoch: number): void {
  const { sqld, catalog } = primaryFolder(dataDir);
  if (!existsSync(catalog) || readFence(sqld) !== undefined || epochOfFile(catalog) < copyEpoch) return;
  throw new ServiceError(
    'STATE_CONFLICT',
    'this is the data folder of an authority, whose catalog is newer than the copy that it has from before: start it',
  );
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
