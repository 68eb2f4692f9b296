import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import type { Log } from '../application/log.js';
import type { Config, HostPort } from '../config/config.js';
import type { createGateway as CreateGateway, Gateway } from '../gateway/index.js';
import type { GrpcServer, listenGrpc as ListenGrpc } from '../services/grpc-server.js';
import { catalogClient, httpContext, nodeClient } from '../services/in-process-clients.js';
import { lockDataFolder } from './data-lock.js';
import { createNodeMetrics } from './node-metrics.js';
import { createNodeServices, type NodeServices } from './node-services.js';
import { clearSocket } from './socket-file.js';
import { tlsTextsOf } from './tls-files.js';

const RECOVERY_INTERVAL_MS = 60_000;
const DRAIN_MS = 10_000;

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
export async function startNode(config: Config, openRole: OpenRole = roleOf): Promise<RunningNode> {
  const log = pino({ level: config.log.level }, pino.destination({ dest: 2, sync: false }));
  const lock = lockDataFolder(config.node.dataDir);
  try {
    const opening = createNodeServices(config, log, openRole);
    // The catalog's process starts and migrates while the doors' packages are loaded.
    const [services, { createGateway }, { listenGrpc }] = await Promise.all([
      opening,
      import('../gateway/index.js'),
      import('../services/grpc-server.js'),
    ]);
    const gateway = await openGateway(createGateway, { config, services, log });
    const doors = await openGrpcDoors(listenGrpc, { config, services, log });
    const http = await gateway.listen(config.node.http.host, config.node.http.port);
    const recovery = setInterval(() => {
      services.recover().catch((error: unknown) => log.warn({ err: error }, 'recovery failed, will be tried again'));
    }, RECOVERY_INTERVAL_MS);
    const httpUrl = `${config.tls === null ? 'http' : 'https'}://${addressOf(http)}`;
    const grpcAddress = addressOf({ host: config.node.grpc.host, port: doors.tcp.port });
    await services.opened({ httpUrl, grpcAddress });
    for (const door of doors.all) door.setServing(true);
    return {
      http: httpUrl,
      grpc: grpcAddress,
      socket: config.node.socketPath,
      site: config.node.site,
      async stop() {
        clearInterval(recovery);
        for (const door of doors.all) door.setServing(false);
        await Promise.all([gateway.close(), ...doors.all.map((door) => door.close(DRAIN_MS))]);
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

/** Opens the catalog as the node's role has it. */
export type OpenRole = Parameters<typeof createNodeServices>[2];

const roleOf: OpenRole = async (config, self) => {
  const { primary } = config.catalog;
  // Only what the role needs is loaded.
  if (primary === null) return (await import('./single-role.js')).openSingleRole(config, self);
  return (await import('./edge-role.js')).openEdgeRole(config, primary, self);
};

interface Parts {
  readonly config: Config;
  readonly services: NodeServices;
  readonly log: Log;
}

function openGateway(createGateway: typeof CreateGateway, { config, services, log }: Parts): Promise<Gateway> {
  const { callers, bytes } = services;
  const metrics = createNodeMetrics(() => services.runningUploads.count);
  return createGateway(
    {
      catalog: catalogClient(services.catalog, callers),
      node: nodeClient(services.node, callers),
      bytes: {
        openRead: (request, options) => bytes.openRead(request, httpContext(callers, options)),
        write: (request, source, options) => bytes.write(request, source, httpContext(callers, options)),
      },
    },
    {
      ...(config.gateway.publicEndpoint === null ? {} : { publicEndpoint: config.gateway.publicEndpoint }),
      ...(config.tls === null ? {} : { tls: tlsTextsOf(config.tls) }),
      trustedProxies: config.gateway.trustedProxies,
      log,
      readyz: async () => {
        const parts = await services.parts();
        return { ok: parts.every(({ ok }) => ok), parts };
      },
      metrics: () => metrics.text(),
      observe: (sample) => metrics.observe(sample),
      serveNodeBytes: true,
      nodeObjects: { openObject: (request, options) => bytes.openObject(request, httpContext(callers, options)) },
      drainMs: DRAIN_MS,
    },
  );
}

interface GrpcDoors {
  readonly tcp: GrpcServer;
  readonly all: readonly GrpcServer[];
}

async function openGrpcDoors(listenGrpc: typeof ListenGrpc, { config, services, log }: Parts): Promise<GrpcDoors> {
  const options = { callers: services.callers, log };
  const { tls } = config;
  const tcp = await listenGrpc(
    services,
    {
      address: addressOf(config.node.grpc),
      listener: 'tcp',
      ...(tls === null
        ? {}
        : {
            tls: {
              cert: readFileSync(tls.certFile),
              key: readFileSync(tls.keyFile),
              ...(tls.clientCaFile === null ? {} : { clientCa: readFileSync(tls.clientCaFile) }),
            },
          }),
    },
    options,
  );
  await clearSocket(config.node.socketPath);
  mkdirSync(dirname(config.node.socketPath), { recursive: true, mode: 0o750 });
  const previous = process.umask(0o117);
  try {
    const unix = await listenGrpc(services, { address: `unix://${config.node.socketPath}`, listener: 'unix' }, options);
    return { tcp, all: [tcp, unix] };
  } finally {
    process.umask(previous);
  }
}

function addressOf({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
