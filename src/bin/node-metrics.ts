import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RequestSample } from '../gateway/index.js';
import { createRequestMetrics } from '../gateway/request-metrics.js';
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

/** The figures of a process for Prometheus: its own, requests by route, and running uploads. */
export interface NodeMetrics {
  observe(sample: RequestSample): void;
  text(): Promise<string>;
}

export function createNodeMetrics(runningUploads: () => number, care?: () => CareFigures): NodeMetrics {
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
  for (const { name, help, of } of care === undefined ? [] : CARE)
    new Gauge({
      ...{ name, help },
      registers: [registry],
      collect() {
        if (care !== undefined) this.set(of(care()));
      },
    });
  return { observe, text: () => registry.metrics() };
}
