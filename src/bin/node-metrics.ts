import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { createRequestMetrics, type RequestSample } from '../gateway/index.js';

/** The figures of a process for Prometheus: its own, requests by route, and running uploads. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

export function createNodeMetrics(runningUploads: () => number): NodeMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
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
