import type { CatalogContext } from './catalog-context.js';
import type { GarbageCollector } from './garbage-collector.js';
import type { Log } from './log.js';
import type { OwnNode } from './own-objects.js';
import type { Digester } from './ports/digester.js';
import type { NodeCommands } from './ports/node-commands.js';
import type { PeerObjects } from './ports/peer-objects.js';
import type { RunningUploads } from './running-uploads.js';
import type { StoreRegistry } from './store-registry.js';

/** What happens to content that is not what `disk_format` says. */
export type FormatMatch = 'strict' | 'warn' | 'off';

/** What the use cases that move bytes work with, on top of the catalog's. */
export interface DataContext extends CatalogContext, OwnNode {
  readonly commands: NodeCommands;
  /** null: a single node. */
  readonly peers: PeerObjects | null;
  readonly stores: StoreRegistry;
  readonly digester: Digester;
  readonly uploads: RunningUploads;
  readonly garbage: GarbageCollector;
  readonly hashingAlgorithm: string;
  readonly formatMatch: FormatMatch;
  readonly log: Log;
}
