import type { CachedReads } from './cached-reads.js';
import type { CatalogContext } from './catalog-context.js';
import type { GarbageCollector } from './garbage-collector.js';
import type { Digester } from './ports/digester.js';
import type { LocationStrategy } from './location-order.js';
import type { NodeCommands } from './ports/node-commands.js';
import type { ReadingContext } from './read-locations.js';
import type { RunningUploads } from './running-uploads.js';

/** What happens to content that is not what `disk_format` says. */
export type FormatMatch = 'strict' | 'warn' | 'off';

/** What the use cases that move bytes work with, on top of the catalog's. */
export interface DataContext extends CatalogContext, ReadingContext {
  readonly commands: NodeCommands;
  /** null: the node has no cache. */
  readonly cached: CachedReads | null;
  /** Where this node stands. */
  readonly site: string;
  /** Which location of an image is read first. */
  readonly locationStrategy: LocationStrategy;
  readonly digester: Digester;
  readonly uploads: RunningUploads;
  readonly garbage: GarbageCollector;
  readonly hashingAlgorithm: string;
  readonly formatMatch: FormatMatch;
  /** Whether data that lies somewhere already is read for its digests. */
  readonly secureHash: boolean;
  /** An image that waits for such data is queued again after so many failures to read it. */
  readonly hashAttempts: number;
}
