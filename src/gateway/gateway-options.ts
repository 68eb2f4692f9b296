import type { CatalogServiceClient } from '../gen/oriel/catalog/v1/catalog_service.js';
import type { NodeServiceClient } from '../gen/oriel/node/v1/node_service.js';
import type { ByteStreams, NodeObjects } from './byte-streams.js';

/** The services that the gateway translates to: in process or over the wire. They fail with ServiceError only. */
export interface GatewayBackend {
  readonly catalog: CatalogServiceClient;
  readonly node: NodeServiceClient;
  readonly bytes: ByteStreams;
}

/** Where the gateway writes what operators must know; pino's shape. */
export interface GatewayLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** One finished request, for metrics. */
export interface RequestSample {
  /** The route's pattern, such as `/v2/images/:id`; a bounded set. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly durationMs: number;
}

/** What `/readyz` tells. */
export interface Readiness {
  readonly ok: boolean;
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly message: string }[];
}

export interface GatewayOptions {
  /** The URL under which clients reach the service; absent: taken from each request. */
  readonly publicEndpoint?: string;
  /** Addresses and networks whose X-Forwarded-Proto and X-Forwarded-Host are believed. */
  readonly trustedProxies: readonly string[];
  /** PEM texts; absent: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  readonly log: GatewayLog;
  /** Answers `/readyz`. */
  readonly readyz: () => Promise<Readiness>;
  /** Answers `/metrics`, in the text format of Prometheus. */
  readonly metrics: () => Promise<string>;
  /** Called once for each finished request. */
  readonly observe?: (sample: RequestSample) => void;
  /** Serves the bytes of images to gateways elsewhere (`/oriel/v1/images/{id}/data`); default false. */
  readonly serveNodeBytes?: boolean;
  /** Serves objects of the node's stores to other nodes (`/oriel/v1/objects/{location}`); absent: none. */
  readonly nodeObjects?: NodeObjects;
  /** The longest JSON body; default 1 MiB. */
  readonly maxJsonBytes?: number;
  /** How long a client may send or take nothing while bytes move, in milliseconds; default 120 000. */
  readonly idleMs?: number;
  /** How long `close` waits for running requests, in milliseconds; default 10 000. */
  readonly drainMs?: number;
  /** How old the service's configuration may get, in milliseconds; default 30 000. */
  readonly serviceInfoMaxAgeMs?: number;
}
