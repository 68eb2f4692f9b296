import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { openEmbeddedCatalog } from '../catalog/index.js';
import type { Config } from '../config/config.js';
import { lockDataFolder } from './data-lock.js';

const RECOVERY_INTERVAL_MS = 60_000;

/** A node that serves. */
export interface RunningNode {
  /** What `ready` says of the addresses. */
  readonly http: string;
  readonly grpc: string;
  readonly socket: string;
  readonly site: string;
  /** Takes no more requests, lets the running ones end, and closes everything. */
  stop(): Promise<void>;
}

/** Starts a node and returns when it serves. STATE_CONFLICT: another one runs on the data folder. */
export async function startNode(config: Config): Promise<RunningNode> {
  const log = pino({ level: config.log.level }, pino.destination({ dest: 2, sync: false }));
  const lock = lockDataFolder(config.node.dataDir);
  try {
    // First of all, so that the catalog's process starts and migrates on another core while the rest is loaded here.
    const opening = openEmbeddedCatalog({ path: join(config.node.dataDir, 'catalog.db'), log });
    // The services await it; should they fail before they do, its failure is of no interest.
    opening.catch(() => undefined);
    const [{ createNodeServices }, { openDoors }] = await Promise.all([
      import('./node-services.js'),
      import('./node-doors.js'),
    ]);
    const services = await createNodeServices(config, opening, log);
    const doors = await openDoors({ config, services, log });
    const recovery = setInterval(() => {
      services.recover().catch((error: unknown) => log.warn({ err: error }, 'recovery failed, will be tried again'));
    }, RECOVERY_INTERVAL_MS);
    doors.setServing(true);
    return {
      http: doors.http,
      grpc: doors.grpc,
      socket: config.node.socketPath,
      site: config.node.site,
      async stop() {
        clearInterval(recovery);
        doors.setServing(false);
        await doors.close();
        await services.close();
        rmSync(config.node.socketPath, { force: true });
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
