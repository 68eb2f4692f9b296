import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RequestSample } from '../gateway/index.js';
// Not by the room's index, which would load the HTTP server before the catalog's process is started.
import { createRequestMetrics } from '../gateway/request-metrics.js';

/** The figures of a process for Prometheus: its own, requests by route, and running uploads. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

export function createNodeMetrics(runningUploads: () => number): NodeMetrics {
  const registry = new Registry();
  // At its default of 10 ms the delay of an idle loop would show as 10 ms.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1 });
  const observe = createRequestMetrics(registry);
  new Gauge({
    name: 'oriel_uploads_running',
    help: 'Uploads whose data is arriving at this node',
    registers: [registry],
    collect() {
      this.set(runningUploads());
    },
  });
  return { observe, text: () => registry.metrics() };
}
