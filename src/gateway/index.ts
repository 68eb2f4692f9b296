/** The HTTP front of the service: the OpenStack Images API over the generated service interfaces. */
export { createGateway, type Gateway } from './gateway.js';
export { createPooledBackend } from './nodes/pooled-backend.js';
export { createRemoteByteStreams } from './remote-byte-streams.js';
export type { GatewayBackend, GatewayOptions, RequestSample } from './gateway-options.js';
