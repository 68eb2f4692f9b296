import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { RequestSample } from '../gateway/index.js';
import { createRequestMetrics } from '../gateway/request-metrics.js';
import type { CacheFigures } from './node-cache-parts.js';
import type { CareFigures } from './node-care.js';

const CARE: readonly {
  readonly name: string;
  readonly help: string;
  readonly of: (figures: CareFigures) => number;
}[] = [
  {
    name: 'oriel_locations_damaged',
    help: 'Locations marked as damaged because of this node since it started',
    of: ({ damaged }) => damaged,
  },
  { name: 'oriel_locations_repaired', help: 'Locations repaired since the start', of: ({ repaired }) => repaired },
  {
    name: 'oriel_scrub_objects',
    help: 'Objects checked by the scrubber since the start',
    of: ({ objects }) => objects,
  },
  { name: 'oriel_scrub_bytes', help: 'Bytes that the scrubber read since the start', of: ({ bytes }) => bytes },
  {
    name: 'oriel_scrub_orphans_removed',
    help: 'Objects that nothing named, removed since the start',
    of: ({ orphans }) => orphans,
  },
  {
    name: 'oriel_scrub_pass_started_seconds',
    help: 'When the last pass of the scrubber began, in seconds since 1970; 0: none has',
    of: ({ passStartedAtMs }) => (passStartedAtMs ?? 0) / 1000,
  },
];

/** The figures of a process for Prometheus: its own, requests by route, running uploads, and its cache. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

/** What the figures are asked of; null: the process has no such part. */
export interface MetricSources {
  readonly runningUploads: () => number;
  readonly cache: CacheFigures | null;
  readonly care: (() => CareFigures) | null;
}

export function createNodeMetrics({ runningUploads, cache, care }: MetricSources): NodeMetrics {
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
  if (care !== null) addCareMetrics(registry, care);
  return { observe, text: () => registry.metrics() };
}

function addCareMetrics(registry: Registry, care: () => CareFigures): void {
  for (const { name, help, of } of CARE)
    new Gauge({
      ...{ name, help },
      registers: [registry],
      collect() {
        this.set(of(care()));
      },
    });
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
