import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { RequestSample } from '../gateway/index.js';
import { createRequestMetrics } from '../gateway/request-metrics.js';
import type { CacheFigures } from './node-cache-parts.js';

/** The figures of a process for Prometheus: its own, requests by route, running uploads, and its cache. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

export function createNodeMetrics(runningUploads: () => number, cache: CacheFigures | null): NodeMetrics {
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
  if (cache !== null) addCacheMetrics(registry, cache);
  return { observe, text: () => registry.metrics() };
}

function addCacheMetrics(registry: Registry, { counts, cache }: CacheFigures): void {
  const counter = (name: string, help: string, value: () => number): void => {
    new Counter({
      ...{ name: `oriel_cache_${name}_total`, help, registers: [registry] },
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  };
  counter('hits', 'Reads that found their first byte in the cache', () => counts.hits);
  counter('misses', 'Reads by way of the cache that did not', () => counts.misses);
  counter('served_bytes', 'Bytes that readers got by way of the cache', () => counts.servedBytes);
  counter('fetched_bytes', 'Bytes that were fetched into the cache', () => counts.fetchedBytes);
  new Gauge({
    ...{ name: 'oriel_cache_held_bytes', help: 'Bytes that the cache holds', registers: [registry] },
    collect() {
      this.set(cache.heldBytes);
    },
  });
  new Gauge({
    ...{ name: 'oriel_cache_max_bytes', help: 'Bytes that the cache may hold', registers: [registry] },
    collect() {
      this.set(cache.maxBytes);
    },
  });
}
