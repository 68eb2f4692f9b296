import { dirname } from 'node:path';
import type { Log } from '../application/log.js';
import { namingLater } from '../base/system-error.js';
import type { Config } from '../config/config.js';
import { createGateway, type Gateway } from '../gateway/index.js';
import { makeFolder } from '../hostfs/folder.js';
import { type GrpcServer, listenGrpc } from '../services/grpc-server.js';
import { catalogClient, httpContext, nodeClient } from '../services/in-process-clients.js';
import { addressOf, listenHttp } from './listen-http.js';
import { createNodeMetrics } from './node-metrics.js';
import type { NodeServices } from './node-services.js';
import { clearSocket } from './socket-file.js';
import { readPem, tlsTextsOf } from './tls-files.js';

const DRAIN_MS = 10_000;

/** The open doors to a node's services. */
export interface NodeDoors {
  /** What `ready` says of the addresses. */
  readonly http: string;
  readonly grpc: string;
  /** Tells health checks whether the node serves. */
  setServing(serving: boolean): void;
  /** Takes no more requests and lets the running ones end. */
  close(): Promise<void>;
}

export interface Parts {
  readonly config: Config;
  readonly services: NodeServices;
  readonly log: Log;
}

/** Opens gRPC on its address and socket, then the Images API. STATE_CONFLICT: another process has the socket. */
export async function openDoors(parts: Parts): Promise<NodeDoors> {
  const { config } = parts;
  const gateway = await openGateway(parts);
  const grpc = await openGrpcDoors(parts);
  const http = await listenHttp(gateway, config.node.http);
  return {
    http: `${config.tls === null ? 'http' : 'https'}://${addressOf(http)}`,
    grpc: addressOf({ host: config.node.grpc.host, port: grpc.tcp.port }),
    setServing(serving) {
      for (const door of grpc.all) door.setServing(serving);
    },
    async close() {
      await Promise.all([gateway.close(), ...grpc.all.map((door) => door.close(DRAIN_MS))]);
    },
  };
}

function openGateway({ config, services, log }: Parts): Promise<Gateway> {
  const { callers, bytes } = services;
  const metrics = createNodeMetrics({
    runningUploads: () => services.runningUploads.count,
    cache: services.cacheFigures,
    care: () => services.care(),
  });
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

async function openGrpcDoors({ config, services, log }: Parts): Promise<GrpcDoors> {
  const options = { callers: services.callers, log };
  const { tls } = config;
  const texts = tls === null ? null : tlsTextsOf(tls);
  const tcp = await listenGrpc(
    services,
    {
      address: addressOf(config.node.grpc),
      option: '--grpc',
      listener: 'tcp',
      ...(tls === null || texts === null
        ? {}
        : {
            tls: {
              cert: Buffer.from(texts.cert),
              key: Buffer.from(texts.key),
              ...(tls.clientCaFile === null ? {} : { clientCa: clientAuthorities(config, tls.clientCaFile) }),
            },
          }),
    },
    options,
  );
  await clearSocket(config.node.socketPath);
  await namingLater(`--socket ${config.node.socketPath}`, () => makeFolder(dirname(config.node.socketPath)));
  const previous = process.umask(0o117);
  try {
    const address = `unix://${config.node.socketPath}`;
    const unix = await listenGrpc(services, { address, option: '--socket', listener: 'unix' }, options);
    return { tcp, all: [tcp, unix] };
  } finally {
    process.umask(previous);
  }
}

/** Where clients must show certificates, the cluster's nodes show theirs. */
function clientAuthorities({ catalog }: Config, clientCaFile: string): Buffer {
  const clients = readPem('[tls] client_ca_file', clientCaFile);
  const nodes = catalog.caFile === null ? [] : [readPem('[catalog] ca_file', catalog.caFile)];
  return Buffer.from([clients, ...nodes].join('\n'));
}
