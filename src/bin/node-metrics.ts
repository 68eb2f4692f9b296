import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RequestSample } from '../gateway/index.js';

/** The figures of a node for Prometheus: the process's own, requests by route, and running uploads. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

export function createNodeMetrics(runningUploads: () => number): NodeMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'oriel_http_request_duration_seconds',
    help: 'Time from the arrival of a request to the end of its answer',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
    registers: [registry],
  });
  new Gauge({
    name: 'oriel_uploads_running',
    help: 'Uploads whose data is arriving at this node',
    registers: [registry],
    collect() {
      this.set(runningUploads());
    },
  });
  return {
    observe: ({ route, method, status, durationMs }) =>
      requests.observe({ route, method, status: String(status) }, durationMs / 1000),
    text: () => registry.metrics(),
  };
}
