import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import type { Config } from '../config/config.js';
import { createGateway, createRemoteByteStreams } from '../gateway/index.js';
import { connect } from '../rpc/node-client.js';
import { createNodeMetrics } from './node-metrics.js';
import { tlsTextsOf } from './tls-files.js';

/** Which node a gateway without one of its own translates to. */
export interface GatewayTarget {
  /** gRPC: `HOST:PORT` or `unix:PATH`. */
  readonly node: string;
  /** HTTP of the same node, for the bytes of images. */
  readonly nodeHttp: string;
  /** PEM file of the authority that signed the node's certificate; absent: no TLS to the node. */
  readonly ca: string | undefined;
}

/** A gateway that serves. */
export interface RunningGateway {
  readonly http: string;
  stop(): Promise<void>;
}

/** Starts the REST front alone; every call goes to the node. */
export async function startGateway(config: Config, target: GatewayTarget): Promise<RunningGateway> {
  const log = pino({ level: config.log.level }, pino.destination({ dest: 2, sync: false }));
  const client = connect({ node: target.node, ca: target.ca, token: undefined }, new AbortController().signal);
  const tls = target.ca === undefined ? {} : { tls: { ca: readFileSync(target.ca, 'utf8') } };
  const bytes = createRemoteByteStreams({ baseUrl: target.nodeHttp, ...tls });
  const metrics = createNodeMetrics(() => 0);
  const gateway = await createGateway(
    { catalog: client.catalog, node: client.node, bytes },
    {
      ...(config.gateway.publicEndpoint === null ? {} : { publicEndpoint: config.gateway.publicEndpoint }),
      ...(config.tls === null ? {} : { tls: tlsTextsOf(config.tls) }),
      trustedProxies: config.gateway.trustedProxies,
      log,
      readyz: async () => {
        try {
          await client.node.getServiceInfo({});
          return { ok: true, parts: [{ name: 'node', ok: true, message: '' }] };
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          return { ok: false, parts: [{ name: 'node', ok: false, message }] };
        }
      },
      metrics: () => metrics.text(),
      observe: (sample) => metrics.observe(sample),
    },
  );
  const { host, port } = await gateway.listen(config.node.http.host, config.node.http.port);
  return {
    http: `${config.tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    async stop() {
      await gateway.close();
      bytes.close();
      client.close();
    },
  };
}
