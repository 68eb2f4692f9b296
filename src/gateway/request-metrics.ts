import { Histogram, type Registry } from 'prom-client';
import type { RequestSample } from './gateway-options.js';

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600];
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/**
 * Registers `oriel_http_request_duration_seconds` by route, method and status (its `_count` counts requests), and returns the
 * function to hand to the gateway as `observe`. Labels are bounded: patterns of routes, known methods.
 */
export function createRequestMetrics(registry: Registry): (sample: RequestSample) => void {
  const histogram = new Histogram({
    name: 'oriel_http_request_duration_seconds',
    help: 'Time from the request line to the end of the answer, by route, method and status.',
    labelNames: ['route', 'method', 'status'],
    buckets: BUCKETS_SECONDS,
    registers: [registry],
  });
  // prom-client hashes the labels at each observation; a child made once costs a lookup.
  const children = new Map<string, Pick<Histogram.Internal<string>, 'observe'>>();
  return ({ route, method, status, durationMs }) => {
    const knownMethod = METHODS.has(method) ? method : 'other';
    const key = `${route} ${knownMethod} ${status}`;
    let child = children.get(key);
    if (child === undefined) {
      child = histogram.labels(route, knownMethod, String(status));
      children.set(key, child);
    }
    child.observe(durationMs / 1_000);
  };
}
