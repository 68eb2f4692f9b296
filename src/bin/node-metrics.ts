import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RequestSample } from '../gateway/index.js';
import { createRequestMetrics } from '../gateway/request-metrics.js';

/** The figures of a process for Prometheus: its own, requests by route, and running uploads. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

export function createNodeMetrics(runningUploads: () => number): NodeMetrics {
  const registry = new Registry();
  // Every figure of the loop's delay has this interval in it (10 ms by default), and an idle node wakes once in each: at
  // 1 ms that was 3 % of a core.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 4 });
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
