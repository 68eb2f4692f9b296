import { setTimeout as pause } from 'node:timers/promises';
import type { CatalogReader } from '../../src/application/ports/catalog.js';
import type { NodeId, StoreId } from '../../src/base/brand.js';
import {
  openReplicaCatalog,
  type ReplicaCatalog,
  type ReplicaCatalogOptions,
} from '../../src/catalog/replica/replica-catalog.js';
import { STORE } from './primary-groups.js';
import type { Sqld } from './sqld.js';

/** How many of the written groups a reader sees: each adds an object. */
export const objects = (reader: CatalogReader): number =>
  reader.garbage({ nodeId: 'n' as NodeId, unnamed: true, storeIds: [STORE as StoreId] }, 1_000_000).length;

/** Opens a replica of the primary; `warnings` gets what the log says from warnings on. */
export async function openReplica(
  sqld: Sqld,
  directory: string,
  options: Partial<ReplicaCatalogOptions> & { readonly warnings?: string[] } = {},
): Promise<ReplicaCatalog> {
  const authToken = sqld.token('ro');
  const note = (facts: object, message: string): void => {
    options.warnings?.push(`${message} ${JSON.stringify(facts)}`);
  };
  return await openReplicaCatalog({
    directory,
    source: async () => await Promise.resolve({ syncUrl: sqld.url, authToken }),
    log: { info: () => undefined, warn: note, error: note },
    ...options,
  });
}

/** Waits until the replica answers reads. */
export async function ready(catalog: ReplicaCatalog): Promise<void> {
  await until(
    () => catalog.status().ok,
    (ok) => ok,
  );
}

/** Asks until the answer is the wanted one; the test's own time-out is the limit, since the machine may be busy. */
export async function until<T>(ask: () => T | Promise<T>, wanted: (answer: T) => boolean): Promise<void> {
  while (!wanted(await ask())) await pause(10);
}
