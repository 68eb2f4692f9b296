import { rmSync } from 'node:fs';
import { pino } from 'pino';
import { namingLater } from '../base/system-error.js';
import type { Config } from '../config/config.js';
import { advertised } from './advertised.js';
import { lockDataFolder } from './data-lock.js';
import type { BeginRole } from './node-role.js';

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
export async function startNode(config: Config, beginRole: BeginRole = roleOf): Promise<RunningNode> {
  const log = pino({ level: config.log.level }, pino.destination({ dest: 2, sync: false }));
  const lock = await namingLater(`--data ${config.node.dataDir}`, () => lockDataFolder(config.node.dataDir));
  try {
    const openRole = await beginRole(config, log);
    const [{ createNodeServices }, { openDoors }] = await Promise.all([
      import('./node-services.js'),
      import('./node-doors.js'),
    ]);
    const services = await createNodeServices(config, log, openRole);
    const doors = await openDoors({ config, services, log });
    const recovery = setInterval(() => {
      services.recover().catch((error: unknown) => log.warn({ err: error }, 'recovery failed, will be tried again'));
    }, RECOVERY_INTERVAL_MS);
    const reachedBy = (listens: string): string => advertised(config.node, listens);
    await services.opened({ httpUrl: reachedBy(doors.http), grpcAddress: reachedBy(doors.grpc) });
    doors.setServing(true);
    return {
      http: doors.http,
      grpc: doors.grpc,
      socket: config.node.socketPath,
      site: config.node.site,
      async stop() {
        clearInterval(recovery);
        doors.setServing(false);
        services.endStreams();
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

// Only what the role needs is loaded.
const roleOf: BeginRole = async (config, log) => {
  const { primary } = config.catalog;
  if (primary === null) return (await import('./single-role.js')).beginSingleRole(config, log);
  const { openEdgeRole } = await import('./edge-role.js');
  return (self) => openEdgeRole(config, primary, self);
};
