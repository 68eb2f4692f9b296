/** A connection to a node over gRPC, for the CLI and the gateway alone; its failures are ServiceErrors. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { type CallOptions, ClientError, type ClientMiddleware, createClientFactory, Metadata, Status } from 'nice-grpc';
import { type DeadlineOptions, deadlineMiddleware } from 'nice-grpc-client-middleware-deadline';
import { errorDetailsClientMiddleware, RichClientError } from 'nice-grpc-error-details';
import { HealthDefinition } from 'nice-grpc-server-health';
import { isHostPort } from '../base/host-port.js';
import { isReason, type Reason } from '../base/error-table.js';
import { naming } from '../base/system-error.js';
import { ServiceError, UNREACHABLE, usageError } from '../base/service-error.js';
import { type CatalogServiceClient, CatalogServiceDefinition } from '../gen/oriel/catalog/v1/catalog_service.js';
import { type DataServiceClient, DataServiceDefinition } from '../gen/oriel/data/v1/data_service.js';
import { type NodeServiceClient, NodeServiceDefinition } from '../gen/oriel/node/v1/node_service.js';
import { answersAnew, RenewableChannel } from './renewable-channel.js';

/** A call that moves no data is given up after this. */
export const CALL_DEADLINE_MS = 30_000;
/** Calls for which the authority looks at objects elsewhere: an edge waits 30 s for it, and whoever asked the edge longer. */
const LOOK_DEADLINE_MS = 40_000;
/** The window of a download: with HTTP/2's default of 64 KiB each MiB would wait for 16 round trips. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** The biggest message of the data service is 1 MiB of data; a page of 1 000 images is a few MiB. */
const MOST_MESSAGE_BYTES = 64 * 1024 * 1024;

/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const SERVING = 1;

/** How to reach a node. */
export interface NodeAddress {
  /** `HOST:PORT`, `unix:PATH` or `unix:///PATH`. */
  readonly node: string;
  readonly token: string | undefined;
  /** The option that names the node, for errors; `--node` when absent. */
  readonly option?: string;
  /** PEM files; with a CA the connection is TLS. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface NodeClient {
  readonly catalog: CatalogServiceClient<DeadlineOptions>;
  readonly data: DataServiceClient<DeadlineOptions>;
  readonly node: NodeServiceClient<DeadlineOptions>;
  /** Asks the gRPC health service whether the node serves. UNAVAILABLE: it says no, or does not answer. */
  checkHealth(signal: AbortSignal): Promise<void>;
  /**
   * For when calls meet silence: tries a new connection, and if the node answers it within the time, sends later calls over a
   * new one. Returns whether it does.
   */
  renew(withinMs: number): Promise<boolean>;
  close(): void;
}

/** Makes a client; connects at the first call. `signal` cancels every call. */
export function connect(address: NodeAddress, signal: AbortSignal, options = CHANNEL_OPTIONS): NodeClient {
  const target = targetOf(address);
  // Read once: files that are replaced later must not end who makes a new connection.
  const tls = tlsOf(address);
  const channel = new RenewableChannel(target, credentialsFrom(tls), options);
  const factory = createClientFactory().use(deadlineMiddleware).use(errorDetailsClientMiddleware).use(toServiceErrors);
  const metadata = credentialMetadata(address.token);
  const moving: CallOptions & DeadlineOptions = { metadata, signal };
  const brief: CallOptions & DeadlineOptions = { ...moving, deadline: CALL_DEADLINE_MS };
  const looking: CallOptions & DeadlineOptions = { ...moving, deadline: LOOK_DEADLINE_MS };
  const health = factory.create(HealthDefinition, channel);
  return {
    catalog: factory.create(CatalogServiceDefinition, channel, {
      ...{ '*': brief, updateImage: looking, addImageLocation: looking },
    }),
    // Uploads and downloads take as long as they take.
    data: factory.create(DataServiceDefinition, channel, { '*': moving }),
    // A stream of events has no end.
    node: Object.assign(factory.create(NodeServiceDefinition, channel, { '*': brief }), {
      watchEvents: factory.create(NodeServiceDefinition, channel, { '*': moving }).watchEvents,
    }),
    async checkHealth(checking) {
      const answer = await health.check({ service: '' }, { signal: checking });
      const status: number = answer.status;
      if (status !== SERVING) throw new ServiceError('UNAVAILABLE', 'The node says that it does not serve.');
    },
    async renew(withinMs) {
      if (!(await answersAnew(target, tls, withinMs)) || signal.aborted) return false;
      channel.renew();
      return true;
    },
    close: () => channel.close(),
  };
}

const BASIC_OPTIONS = {
  'grpc.max_receive_message_length': MOST_MESSAGE_BYTES,
  'grpc.max_send_message_length': MOST_MESSAGE_BYTES,
  // By default the pause between two tries to connect grows to two minutes: a node that is back would stay unseen so long.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
};

/**
 * Between nodes: without the wide window, which a stream that nobody reads would fill; and with pings, so that what runs over a
 * connection that died without a word ends. Not where data moves: on a slow line a ping's answer waits behind megabytes.
 */
export const CALLS_CHANNEL_OPTIONS = {
  ...BASIC_OPTIONS,
  'grpc.keepalive_time_ms': 5000,
  // A node on a machine that does too much was seen silent for 2 s.
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.keepalive_permit_without_calls': 1,
};

/** For clients that move data. */
export const CHANNEL_OPTIONS: ChannelOptions = {
  ...BASIC_OPTIONS,
  'grpc-node.flow_control_window': WINDOW_BYTES,
};

/** The address as gRPC writes it: unix sockets as `unix:///PATH`. */
export function targetOf({ node, option = '--node' }: NodeAddress): string {
  if (node.startsWith('unix:')) return `unix://${resolve(node.replace(/^unix:(\/\/(?=\/))?/, ''))}`;
  if (isHostPort(node)) return node;
  throw usageError(`${option}: expected HOST:PORT or unix:PATH, found ${JSON.stringify(node)}`);
}

/** TLS when a CA is named, else none. */
export function credentialsOf(address: NodeAddress): ChannelCredentials {
  return credentialsFrom(tlsOf(address));
}

interface TlsFiles {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

function credentialsFrom(tls: TlsFiles | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  try {
    return ChannelCredentials.createSsl(tls.ca, tls.key ?? null, tls.cert ?? null);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError('INVALID_ARGUMENT', `--cert and --key: expected a certificate and its key (${why})`, {
      cause,
    });
  }
}

function tlsOf({ ca, cert, key }: NodeAddress): TlsFiles | undefined {
  if ((cert === undefined) !== (key === undefined)) {
    throw usageError('--cert and --key: expected both files or none');
  }
  if (ca === undefined && cert !== undefined) {
    throw usageError('--cert: a client certificate needs --ca, which turns TLS on');
  }
  if (ca === undefined) return undefined;
  const pair =
    cert === undefined || key === undefined ? {} : { cert: readPem('--cert', cert), key: readPem('--key', key) };
  return { ca: readPem('--ca', ca), ...pair };
}

function readPem(option: string, file: string): Buffer {
  const pem = naming(`${option} ${file}`, () => readFileSync(file));
  // OpenSSL passes over what it does not know, and then trusts nobody.
  if (pem.includes('-----BEGIN ')) return pem;
  throw new ServiceError(
    'INVALID_ARGUMENT',
    `${option} ${file}: expected a PEM file: name one with "-----BEGIN …" in it`,
  );
}

function credentialMetadata(token: string | undefined): Metadata {
  return token === undefined ? Metadata() : Metadata({ 'x-auth-token': token });
}

const toServiceErrors: ClientMiddleware = async function* toServiceErrors(call, options) {
  try {
    return yield* call.next(call.request, options);
  } catch (error) {
    throw error instanceof ClientError ? fromClientError(error) : error;
  }
};

function fromClientError(error: ClientError): ServiceError {
  const extra = error instanceof RichClientError ? error.extra : [];
  for (const detail of extra) {
    // google.rpc.ErrorInfo: the reason in the words of base/error-table.ts.
    if (detail.$type === 'google.rpc.ErrorInfo' && detail.domain === 'oriel' && isReason(detail.reason)) {
      // Whom the node could not reach is not for us to avoid: it answered itself.
      const details = Object.fromEntries(Object.entries(detail.metadata).filter(([name]) => !(name in UNREACHABLE)));
      return new ServiceError(detail.reason, error.details, { details, cause: error });
    }
  }
  return statusError({ code: error.code, details: error.details, cause: error });
}

/** Makes the error of a bare gRPC status: what no method of ours said, but the transport. */
export function statusError(failure: {
  readonly code: number;
  readonly details: string;
  readonly cause: unknown;
}): ServiceError {
  const { code, details, cause } = failure;
  // Without the address: servers hand this on to their callers. The cause has it.
  if (code === 14) {
    const why = /\bE[A-Z]{4,}\b/.exec(details)?.[0];
    const message = `No answer came from the node${why === undefined ? '' : ` (${why})`}.`;
    return new ServiceError('UNAVAILABLE', message, { cause, details: UNREACHABLE });
  }
  if (code === 4)
    return new ServiceError('DEADLINE_EXCEEDED', 'No answer came in time.', { cause, details: UNREACHABLE });
  const name = Status[code] ?? String(code);
  return new ServiceError(REASON_OF_STATUS.get(code) ?? 'UPSTREAM_FAILED', `${name}: ${details}`, { cause });
}

const REASON_OF_STATUS: ReadonlyMap<number, Reason> = new Map([
  [Status.CANCELLED, 'CANCELLED'],
  [Status.UNAUTHENTICATED, 'UNAUTHENTICATED'],
  [Status.UNIMPLEMENTED, 'NOT_IMPLEMENTED'],
  [Status.INTERNAL, 'INTERNAL'],
]);

/** Tells whether the error is of a command that was interrupted. */
export function isInterruption(error: unknown): boolean {
  if (error instanceof ServiceError) return error.reason === 'CANCELLED';
  return error instanceof Error && error.name === 'AbortError';
}
