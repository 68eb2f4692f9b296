import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { refuseCutInstall } from '../cut-install.js';
import { LaneCatalog } from '../lane-catalog.js';
import type { LaneListener } from '../lane/lane-writer.js';
import { type LaneLog, WriteLane } from '../lane/write-lane.js';
import { AccessTokens } from './access-tokens.js';
import { readFence, writeFence } from './fence-mark.js';
import { HranaLaneWriter, type HranaWriterSettings } from './hrana-lane-writer.js';
import { makeEmptyFile } from './primary-file.js';
import { primaryFolder } from './primary-folder.js';
import { findSqld } from './sqld-binary.js';
import type { SqldProcess } from './sqld-process.js';
import { type SqldStatus, SqldSupervisor } from './sqld-supervisor.js';
import { WATCH_TIMES, type WatchTimes } from './write-watch.js';

export interface PrimaryCatalogOptions {
  /** The primary's data folder; made when absent. One process at a time. */
  readonly dataDir: string;
  /** Port of loopback for `sqld`; 0 for a free one. */
  readonly sqldPort: number;
  readonly log?: LaneLog;
  /** How long operations are remembered; a day unless told. */
  readonly operationRetentionMs?: number;
  /** How often old operations are removed; a minute unless told. */
  readonly pruneEveryMs?: number;
  /** How often an idle primary tries whether it could write; two seconds unless told. */
  readonly probeEveryMs?: number;
  /** When a write counts as hopeless. */
  readonly watchTimes?: WatchTimes;
  /** Milliseconds between SIGTERM and SIGKILL for `sqld`; ten seconds unless told. */
  readonly graceMs?: number;
  /** How many writes share a commit at most; 128 unless told. */
  readonly groupLimit?: number;
}

/** The catalog of a cluster, at its authority. */
export interface PrimaryCatalog {
  readonly catalog: LaneCatalog;
  /** Port of loopback on which replicas sync, by way of the authority's TLS. */
  readonly syncPort: number;
  /** The process of `sqld`, while there is one. */
  readonly sqldPid: number | undefined;
  /** A token for a replica. @throws ServiceError INVALID_ARGUMENT unless it lasts 1 second to ten years. */
  mintReadToken(ttlSeconds: number): string;
  status(): SqldStatus;
  /** How durable commits are; `strong` unless somebody changed it since the start. */
  durability(): Promise<string>;
  /**
   * Ends all writing, now and after a restart (fence-mark.ts), and sqld with it: another authority has an epoch so late. False:
   * the mark could not be written, and is to be tried again.
   */
  fence(epoch: number, refusal: ServiceError): boolean;
  close(): Promise<void>;
}

/** A commit costs two syncs here, and pages that operations share are logged once: more of them than on one node. */
const GROUP_LIMIT = 128;
const DAY_MS = 24 * 60 * 60 * 1000;
const SILENT: LaneLog = { warn: () => undefined };

/**
 * Starts `sqld` on the data folder and opens the catalog in it, for its only writer.
 *
 * @throws ServiceError UNAVAILABLE when `sqld` is missing, its port is taken or it does not start; STATE_CONFLICT when a newer
 *   release wrote the catalog, another primary serves the folder, or another authority has taken this one's place.
 */
export async function openPrimaryCatalog(options: PrimaryCatalogOptions): Promise<PrimaryCatalog> {
  const log = options.log ?? SILENT;
  const program = findSqld();
  // Absolute: the leftover of a killed primary is known by the folder in its arguments.
  const dataDir = resolve(options.dataDir);
  const folder = primaryFolder(dataDir);
  refuseCutInstall(folder.sqld);
  refuseFenced(folder.sqld);
  if (!existsSync(folder.catalog)) makeEmptyFile(dataDir, folder.catalog);
  const tokens = AccessTokens.open(folder.keys);
  const sqld = await SqldSupervisor.start(
    {
      program,
      directory: folder.sqld,
      port: options.sqldPort,
      publicKeyPath: tokens.publicKeyPath,
      graceMs: options.graceMs ?? 10_000,
    },
    log,
  );
  try {
    const catalog = await openCatalog(folder.catalog, options, { sqld, tokens });
    return primaryCatalog(catalog, { sqld, tokens, log, folder: folder.sqld });
  } catch (error) {
    await sqld.stop();
    throw error;
  }
}

interface Parts {
  readonly sqld: SqldSupervisor;
  readonly tokens: AccessTokens;
}

async function openCatalog(file: string, options: PrimaryCatalogOptions, parts: Parts): Promise<LaneCatalog> {
  const settings = writerSettings(options, parts);
  const start = (listener: LaneListener): HranaLaneWriter => new HranaLaneWriter(settings, listener);
  const groups = { limit: options.groupLimit ?? GROUP_LIMIT, gather: true };
  const lane = new WriteLane(start, options.log ?? SILENT, groups);
  await lane.open();
  try {
    return new LaneCatalog(lane, file);
  } catch (error) {
    await lane.close();
    throw error;
  }
}

function writerSettings(options: PrimaryCatalogOptions, { sqld, tokens }: Parts): HranaWriterSettings {
  return {
    sqld,
    tokens,
    raised: new WeakSet<SqldProcess>(),
    retentionMs: options.operationRetentionMs ?? DAY_MS,
    pruneEveryMs: options.pruneEveryMs ?? 60_000,
    probeEveryMs: options.probeEveryMs ?? 2000,
    watchTimes: options.watchTimes ?? WATCH_TIMES,
  };
}

/** STATE_CONFLICT: another authority has taken the place of the one with this folder. */
function refuseFenced(folder: string): void {
  const mark = readFence(folder);
  if (mark === undefined) return;
  throw new ServiceError(
    'STATE_CONFLICT',
    `this authority was replaced by another, of epoch ${mark.epoch}, as it learned at ${new Date(mark.atMs).toISOString()}: ` +
      'start it as an edge of that one (oriel serve --primary …)',
  );
}

interface OpenParts extends Parts {
  readonly log: LaneLog;
  readonly folder: string;
}

function primaryCatalog(catalog: LaneCatalog, { sqld, tokens, log, folder }: OpenParts): PrimaryCatalog {
  return {
    catalog,
    syncPort: sqld.port,
    get sqldPid() {
      return sqld.pid;
    },
    mintReadToken: (ttlSeconds) => tokens.mint('ro', ttlSeconds),
    status: () => sqld.status(),
    durability: async () => await (await sqld.running(0)).durability(),
    fence(epoch, refusal) {
      const ended = catalog.endWrites(refusal).then(() => sqld.stop());
      ended.catch((error: unknown) => log.warn({ problem: String(error) }, 'catalog: sqld did not end'));
      log.warn({ epoch }, 'catalog: another authority has taken the place of this one, which writes no more');
      try {
        writeFence(folder, { epoch, atMs: Date.now() });
        return true;
      } catch (error) {
        log.warn({ problem: String(error) }, 'catalog: that this authority was replaced could not be written down');
        return false;
      }
    },
    async close() {
      await catalog.close();
      await sqld.stop();
    },
  };
}
