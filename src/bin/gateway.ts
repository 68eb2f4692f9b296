import { pino } from 'pino';
import { usageError } from '../base/service-error.js';
import type { Config } from '../config/config.js';
import { createGateway, createPooledBackend, createRemoteByteStreams } from '../gateway/index.js';
import { CALLS_CHANNEL_OPTIONS, connect } from '../rpc/node-client.js';
import { addressOf, listenHttp } from './listen-http.js';
import { createNodeMetrics } from './node-metrics.js';
import { readPem, tlsTextsOf } from './tls-files.js';

/** A node that is alive answers a new connection in two round trips. */
const RENEW_WITHIN_MS = 2000;

/** The nodes that a gateway without one of its own translates to, the preferred one first. */
export interface GatewayTarget {
  /** gRPC: `HOST:PORT` or `unix:PATH`. */
  readonly nodes: readonly string[];
  /** HTTP of the same nodes in the same order, for the bytes of images. */
  readonly nodesHttp: readonly string[];
  /** PEM file of the authority that signed the nodes' certificates; absent: no TLS to the nodes. */
  readonly ca: string | undefined;
}

/** A gateway that serves. */
export interface RunningGateway {
  readonly http: string;
  stop(): Promise<void>;
}

/** Starts the REST front alone; every call goes to the first of the nodes that answers. INVALID_ARGUMENT: nodes without HTTP. */
export async function startGateway(config: Config, target: GatewayTarget): Promise<RunningGateway> {
  const log = pino({ level: config.log.level }, pino.destination({ dest: 2, sync: false }));
  const nodes = nodesOf(target);
  const backend = createPooledBackend(nodes, log);
  const metrics = createNodeMetrics({ runningUploads: () => 0, cache: null, care: null });
  // So that the first request does not meet a node that is away.
  await backend.check();
  const gateway = await createGateway(backend, {
    ...(config.gateway.publicEndpoint === null ? {} : { publicEndpoint: config.gateway.publicEndpoint }),
    ...(config.tls === null ? {} : { tls: tlsTextsOf(config.tls) }),
    trustedProxies: config.gateway.trustedProxies,
    log,
    readyz: () => Promise.resolve(backend.readiness()),
    metrics: () => metrics.text(),
    observe: (sample) => metrics.observe(sample),
  });
  const http = await listenHttp(gateway, config.node.http);
  return {
    http: `${config.tls === null ? 'http' : 'https'}://${addressOf(http)}`,
    async stop() {
      await gateway.close();
      backend.close();
      for (const node of nodes) node.close();
    },
  };
}

function nodesOf({ nodes, nodesHttp, ca }: GatewayTarget) {
  if (nodes.length === 0 || nodes.length !== nodesHttp.length)
    throw usageError(
      `expected as many --node-http as --node, at least one, got ${nodesHttp.length} and ${nodes.length}`,
    );
  const wrong = nodesHttp.find((url) => !/^https?:\/\//.test(url) || !URL.canParse(url));
  if (wrong !== undefined)
    throw usageError(`--node-http: expected a URL such as http://10.0.0.1:9292, found ${JSON.stringify(wrong)}`);
  const tls = ca === undefined ? {} : { tls: { ca: readPem('--node-ca', ca) } };
  return nodes.map((name, index) => {
    const address = { node: name, ca, token: undefined };
    const client = connect(address, new AbortController().signal, CALLS_CHANNEL_OPTIONS);
    const bytes = createRemoteByteStreams({ baseUrl: nodesHttp[index] ?? '', ...tls });
    return {
      name,
      backend: { catalog: client.catalog, node: client.node, bytes },
      check: (signal: AbortSignal) => client.checkHealth(signal),
      renew: () => client.renew(RENEW_WITHIN_MS),
      close() {
        bytes.close();
        client.close();
      },
    };
  });
}
