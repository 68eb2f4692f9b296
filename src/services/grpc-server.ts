import { ServerCredentials, setLogger } from '@grpc/grpc-js';
import { createServer, type Metadata, type Server, type ServerMiddleware } from 'nice-grpc';
import { errorDetailsServerMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import type { Log } from '../application/log.js';
import type { Credentials } from '../application/ports/authenticator.js';
import { ServiceError } from '../base/service-error.js';
import { codeWords } from '../base/system-error.js';
import type { Caller } from '../domain/caller.js';
import { CatalogServiceDefinition } from '../gen/oriel/catalog/v1/catalog_service.js';
import { DataServiceDefinition } from '../gen/oriel/data/v1/data_service.js';
import { NodeServiceDefinition } from '../gen/oriel/node/v1/node_service.js';
import type { CatalogMethods } from './catalog-service.js';
import { clientCertificateInterceptor, clientCertificateOf } from './client-certificate.js';
import type { DataService } from './data-service.js';
import { toServerError } from './grpc-errors.js';
import type { NodeService } from './node-service.js';
import { ReflectionDefinition, reflectionOf } from './reflection.js';
import {
  type CallerResolver,
  type Freshness,
  MIN_POSITION_KEY,
  type ServiceContext,
  traceOf,
  writeFreshness,
} from './service-context.js';

/** Largest message taken: a chunk of 4 MiB and its frame. */
const MESSAGE_MAX_BYTES = 4 * 1024 * 1024 + 64 * 1024;

export interface GrpcServices {
  readonly catalog: CatalogMethods;
  readonly data: DataService;
  readonly node: NodeService;
}

export interface GrpcDoor {
  /** HOST:PORT, or `unix:///PATH`. */
  readonly address: string;
  /** The option that names the address, for errors. */
  readonly option: '--grpc' | '--socket';
  readonly listener: 'tcp' | 'unix';
  /** PEM; absent: no TLS. With `clientCa`, clients must show a certificate that it signed, and are hosts without a token. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer; readonly clientCa?: Buffer };
}

/** A running gRPC server on one address. */
export interface GrpcServer {
  /** The port that was bound; 0 for a socket. */
  readonly port: number;
  /** Tells health checks whether the node serves. */
  setServing(serving: boolean): void;
  /** Takes no more calls, and returns when the running ones have ended or `graceMs` have passed. */
  close(graceMs: number): Promise<void>;
}

/** Serves the generated interfaces, health and reflection on one address. UNAVAILABLE: it cannot be listened on. */
export async function listenGrpc(
  services: GrpcServices,
  door: GrpcDoor,
  options: { readonly callers: CallerResolver; readonly log: Log },
): Promise<GrpcServer> {
  const health = HealthState();
  const server = createServer({
    'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
    // Uploads arrive at the pace of the disk, not of a 64 KiB window.
    'grpc-node.flow_control_window': MESSAGE_MAX_BYTES,
    'grpc.keepalive_time_ms': 30_000,
    interceptors: [clientCertificateInterceptor],
  });
  server.add(HealthDefinition, HealthServiceImpl(health));
  const serviceNames = [CatalogServiceDefinition, DataServiceDefinition, NodeServiceDefinition].map((s) => s.fullName);
  server.add(ReflectionDefinition, reflectionOf(serviceNames));
  const ours = server.with(errorDetailsServerMiddleware).with(callMiddleware(door.listener, options));
  ours.add(CatalogServiceDefinition, services.catalog);
  ours.add(DataServiceDefinition, services.data);
  ours.add(NodeServiceDefinition, services.node);
  const port = await bind(server, door, options.log);
  return {
    port,
    setServing: (serving) => health.setStatus(serving ? 'healthy' : 'unhealthy'),
    close: (graceMs) => shutDown(server, graceMs),
  };
}

async function bind(server: Server, door: GrpcDoor, log: Log): Promise<number> {
  // Lines of these two kinds come only when GRPC_VERBOSITY asks for them.
  const asked = (line: unknown): void => log.info({ line: String(line) }, 'gRPC');
  const logger = { info: asked, debug: asked, error: (line: unknown) => log.warn({ line: String(line) }, 'gRPC') };
  // While it binds, what fails is thrown: the library's own line would be a second one.
  setLogger({ ...logger, error: () => undefined });
  try {
    return await server.listen(door.address, credentialsOf(door));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // "No address added out of total 1 resolved errors: [listen EADDRINUSE: address already in use 127.0.0.1:9293]"
    const why = /errors: \[(.*)\]$/.exec(message)?.[1] ?? message;
    const code = /\bE[A-Z0-9]{3,}\b/.exec(why)?.[0];
    const words = code === undefined ? `${why}: name another address` : codeWords(code, new Error(why));
    throw new ServiceError('UNAVAILABLE', `${door.option} ${door.address.replace('unix://', '')}: ${words}`, { cause });
  } finally {
    setLogger(logger);
  }
}

// What the middleware adds to nice-grpc's own context, which has the signal.
type CallExtension = Omit<ServiceContext, 'signal'>;

// Gives each method its ServiceContext and turns what it throws into a status.
function callMiddleware(
  listener: 'tcp' | 'unix',
  { callers, log }: { readonly callers: CallerResolver; readonly log: Log },
): ServerMiddleware<CallExtension> {
  return async function* serviceContext(call, context) {
    const trace = traceOf(context.metadata);
    let caller: Promise<Caller> | undefined;
    try {
      return yield* call.next(call.request, {
        ...context,
        trace,
        minPosition: context.metadata.get(MIN_POSITION_KEY),
        answeredAt: (freshness: Freshness) => writeFreshness(context.header, freshness),
        caller: () => (caller ??= callers.resolve(context.metadata, doorOf(context.metadata, listener))),
      });
    } catch (error) {
      throw toServerError(error, (cause) =>
        log.error({ err: cause, method: call.method.path, trace: trace.traceparent }, 'call failed'),
      );
    }
  };
}

// A call that a gateway relays is its caller's, who came by HTTP: neither the gateway's certificate nor its right to the
// socket makes the caller a host.
function doorOf(metadata: Metadata, listener: 'tcp' | 'unix'): Pick<Credentials, 'listener' | 'peerCertificate'> {
  if (metadata.has('x-oriel-relayed')) return { listener: 'http' };
  return { listener, peerCertificate: clientCertificateOf(metadata) };
}

function credentialsOf({ tls }: GrpcDoor): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: tls.cert, private_key: tls.key };
  // With a client CA every client must have a certificate that it signed; a token may come on top.
  return ServerCredentials.createSsl(tls.clientCa ?? null, [pair], tls.clientCa !== undefined);
}

async function shutDown(server: Server, graceMs: number): Promise<void> {
  const force = setTimeout(() => server.forceShutdown(), graceMs);
  try {
    await server.shutdown();
  } finally {
    clearTimeout(force);
  }
}
