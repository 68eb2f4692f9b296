/** The HTTP front of the service: the OpenStack Images API over the generated service interfaces. */
export { createGateway, type Gateway } from './gateway.js';
export {
  createRemoteByteStreams,
  type RemoteByteStreams,
  type RemoteByteStreamsOptions,
} from './remote-byte-streams.js';
export type {
  GatewayBackend,
  GatewayLog,
  GatewayOptions,
  Readiness,
  RequestSample,
} from './gateway-options.js';
export { createRequestMetrics } from './request-metrics.js';
