import process from 'node:process';
import { backUpCatalog } from '../catalog/upkeep/backup-catalog.js';
import { findCatalog } from '../catalog/upkeep/catalog-place.js';
import { migrateOffline, migrationsOf } from '../catalog/upkeep/migrate-offline.js';
import { candidateOf, promoteReplica } from '../catalog/upkeep/promote-replica.js';
import { restoreCatalog } from '../catalog/upkeep/restore-catalog.js';
import { verifyCatalog } from '../catalog/upkeep/verify-catalog.js';
import { primaryFolder } from '../catalog/primary/primary-folder.js';
import { endLeftover } from '../catalog/primary/sqld-leftover.js';
import type { CatalogFunctions, DataPlace } from '../cli/catalog-functions.js';
import { namingLater } from '../base/system-error.js';
import { lockDataFolder } from './data-lock.js';

/** How long the `sqld` of a killed primary gets to end by itself. */
const LEFTOVER_GRACE_MS = 10_000;

/** The work on catalogs' files. `dataDirOf` resolves the folder that a command means. */
export function catalogFunctions(dataDirOf: (place: DataPlace) => string): CatalogFunctions {
  return {
    backup: (place, to) => {
      // A backup holds what the catalog does: nobody but its owner reads it.
      process.umask(0o077);
      return backUpCatalog(findCatalog(dataDirOf(place)), to);
    },
    restore: (place, from) =>
      whileStopped(dataDirOf(place), (dataDir) => restoreCatalog({ ...from, dataDir, nowMs: Date.now() })),
    verify: (place, named) => {
      const file = named ?? findCatalog(dataDirOf(place)).file;
      return { file, ...verifyCatalog(file) };
    },
    migrate: async (place, check) => {
      const dataDir = dataDirOf(place);
      if (check) return migrationsOf(findCatalog(dataDir));
      return whileStopped(dataDir, async () => {
        const found = findCatalog(dataDir);
        const report = migrationsOf(found);
        await migrateOffline(found, dataDir);
        return report;
      });
    },
    promote: (place, yes) =>
      whileStopped(dataDirOf(place), (dataDir) => {
        const candidate = candidateOf(dataDir);
        const placed = yes ? promoteReplica(candidate, dataDir, Date.now()) : undefined;
        return { copy: candidate.report, completeAtMs: candidate.completeAtMs, dataDir, placed };
      }),
  };
}

/** Holds the folder, so that no node starts on it meanwhile. STATE_CONFLICT: one runs. */
async function whileStopped<T>(dataDir: string, work: (dataDir: string) => T | Promise<T>): Promise<T> {
  process.umask(0o027);
  const lock = await namingLater(`--data ${dataDir}`, () => lockDataFolder(dataDir));
  try {
    await endLeftover(primaryFolder(dataDir).sqld, LEFTOVER_GRACE_MS);
    return await work(dataDir);
  } finally {
    lock.release();
  }
}
