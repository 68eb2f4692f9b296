import type { CallOptions } from './byte-streams.js';
import type { GatewayBackend, GatewayLog } from './gateway-options.js';
import type { JsonLimits } from './json-body.js';
import type { PublicOrigin } from './public-origin.js';
import type { ServiceInfo, ServiceInfoCache } from './service-info.js';

/** What routes share. */
export interface RouteContext {
  readonly backend: GatewayBackend;
  readonly origin: PublicOrigin;
  readonly serviceInfo: ServiceInfoCache;
  readonly jsonLimits: JsonLimits;
  readonly idleMs: number;
  readonly log: GatewayLog;
  /** Answers without an end, which end when the gateway closes. */
  readonly endless: Set<AbortController>;
}

/** Authenticates the caller and returns the configuration of the service. */
export async function authenticatedInfo(context: RouteContext, call: CallOptions): Promise<ServiceInfo> {
  await context.backend.node.getCaller({}, call);
  return context.serviceInfo.get(call);
}
