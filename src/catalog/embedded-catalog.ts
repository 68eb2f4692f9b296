import { refuseCutInstall } from './cut-install.js';
import { LaneCatalog } from './lane-catalog.js';
import { LaneProcessHandle } from './lane/lane-process-handle.js';
import { type LaneLog, WriteLane } from './lane/write-lane.js';

export interface EmbeddedCatalogOptions {
  /** The catalog's file; made when absent. */
  readonly path: string;
  readonly log?: LaneLog;
  /** How long operations are remembered; a day unless told. */
  readonly operationRetentionMs?: number;
  /** How often old operations are removed; a minute unless told. */
  readonly pruneEveryMs?: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const SILENT: LaneLog = { warn: () => undefined };

/**
 * Opens the catalog in one libSQL file, for one node.
 *
 * @throws ServiceError UNAVAILABLE when the file cannot be opened, STATE_CONFLICT when a newer release wrote it or
 *   a restore was cut off.
 */
export async function openEmbeddedCatalog(options: EmbeddedCatalogOptions): Promise<LaneCatalog> {
  refuseCutInstall(options.path);
  const settings = {
    path: options.path,
    retentionMs: options.operationRetentionMs ?? DAY_MS,
    pruneEveryMs: options.pruneEveryMs ?? 60_000,
  };
  const lane = new WriteLane((listener) => new LaneProcessHandle(settings, listener), options.log ?? SILENT);
  await lane.open();
  return new LaneCatalog(lane, options.path);
}
