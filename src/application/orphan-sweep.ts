import { asImageId, asUploadId, type ObjectKey } from '../base/brand.js';
import { dataOf } from '../domain/image.js';
import { DATA_SUFFIX, MAP_SUFFIX, mapBeside } from '../domain/location.js';
import type { Log } from './log.js';
import type { Catalog, CatalogReader } from './ports/catalog.js';
import type { Clock } from './ports/clock.js';
import type { ImageStore } from './ports/image-store.js';
import type { StoreRegistry } from './store-registry.js';

/** Objects that are looked up in one read of the catalog. */
const BATCH = 100;
/** Orphans that are remembered; more are found by a later sweep. */
const REMEMBERED_MAX = 10_000;
/** More orphans than this, and than this share of the old objects of a store, are no orphans: the catalog is another one's. */
const TRUSTED_COUNT = 10;
const TRUSTED_SHARE = 0.2;

export interface SweepContext {
  readonly catalog: Catalog;
  readonly stores: StoreRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

interface Sweep {
  readonly graceMs: number;
  /** When the orphans of the sweeps before were first seen, by store and key. */
  readonly seen: ReadonlyMap<string, number>;
  readonly signal: AbortSignal;
}

/**
 * Removes objects of the service's own making that nothing names, from this node's file stores: neither an image, also one that
 * awaits its deletion, nor a running upload. Only what was an orphan in every sweep for `graceMs`, and was not written since, goes;
 * and nothing while the catalog is a copy older than half of that: an object is named by its lease from before its first byte is
 * written. Nothing goes from a store where much would go either: its catalog is likely another one. What fails in one store stops
 * no other. Returns when each orphan that is left was first seen, by store and key, and how many went.
 */
export async function sweepOrphans(
  context: SweepContext,
  sweep: Sweep,
): Promise<{ readonly seen: ReadonlyMap<string, number>; readonly removed: number }> {
  const seen = new Map<string, number>();
  let removed = 0;
  for (const { store } of context.stores.all) {
    // Once they are all found: those of a wrong catalog are told by their number.
    const orphans = new Map<ObjectKey, number>();
    try {
      if (await findOrphans(context, store, sweep, orphans)) removed += await removeDue(context, store, sweep, orphans);
    } catch (error) {
      sweep.signal.throwIfAborted();
      context.log.warn({ err: error, store: store.id }, 'orphans of a store not removed, will be tried again');
      for (const [name, firstSeenMs] of sweep.seen) if (name.startsWith(`${store.id}/`)) seen.set(name, firstSeenMs);
    }
    for (const [key, firstSeenMs] of orphans) if (seen.size < REMEMBERED_MAX) seen.set(nameOf(store, key), firstSeenMs);
  }
  return { seen, removed };
}

function nameOf(store: ImageStore, key: ObjectKey): string {
  return `${store.id}/${key}`;
}

/** Fills in the orphans of the store, and when each was first seen. Returns whether they can be believed to be some. */
async function findOrphans(
  context: SweepContext,
  store: ImageStore,
  { graceMs, seen, signal }: Sweep,
  orphans: Map<ObjectKey, number>,
): Promise<boolean> {
  const { clock, log } = context;
  let [objectCount, orphanCount] = [0, 0];
  for await (const batch of oldObjects(context, store, graceMs)) {
    signal.throwIfAborted();
    const found = await orphansOf(context, batch, graceMs);
    objectCount += batch.length;
    orphanCount += found?.length ?? 0;
    // What nobody could judge stays what it was.
    for (const key of found ?? batch) {
      const firstSeenMs = seen.get(nameOf(store, key));
      if (found !== undefined || firstSeenMs !== undefined)
        if (orphans.size < REMEMBERED_MAX) orphans.set(key, firstSeenMs ?? clock.nowMs());
    }
  }
  if (orphanCount <= TRUSTED_COUNT || orphanCount <= objectCount * TRUSTED_SHARE) return true;
  log.error(
    { store: store.id, orphans: orphanCount, objects: objectCount },
    'the catalog names so few objects of this store that none is removed: check that the catalog, and the folder of the store, are ' +
      'the right ones; if so, remove the objects by hand (orphan_grace = "0" ends the search)',
  );
  return false;
}

/** Removes the orphans whose time is up, and takes them out of the map. */
async function removeDue(
  context: SweepContext,
  store: ImageStore,
  { graceMs, signal }: Sweep,
  orphans: Map<ObjectKey, number>,
): Promise<number> {
  const { clock, log } = context;
  let removed = 0;
  for (const [key, firstSeenMs] of [...orphans]) {
    signal.throwIfAborted();
    if (clock.nowMs() - firstSeenMs < graceMs) continue;
    // The catalog may have been changed, or have become old, since the store was listed.
    if ((await orphansOf(context, [key], graceMs))?.length !== 1) continue;
    try {
      await store.delete(key);
    } catch (error) {
      log.warn({ err: error, store: store.id, key }, 'orphan not removed, will be tried again');
      continue;
    }
    log.warn({ store: store.id, key, firstSeenMs }, 'object removed that nothing names');
    orphans.delete(key);
    removed += 1;
  }
  return removed;
}

async function* oldObjects(
  { clock }: SweepContext,
  store: ImageStore,
  graceMs: number,
): AsyncGenerator<readonly ObjectKey[]> {
  if (store.list === undefined) return;
  let batch: ObjectKey[] = [];
  for await (const object of store.list()) {
    if (!isOurs(object.key) || clock.nowMs() - object.modifiedAtMs < graceMs) continue;
    batch.push(object.key);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Those that nothing names; undefined: the catalog cannot tell now. */
async function orphansOf(
  { catalog }: SweepContext,
  keys: readonly ObjectKey[],
  graceMs: number,
): Promise<readonly ObjectKey[] | undefined> {
  const { ok, stalenessMs } = catalog.status();
  if (!ok || stalenessMs === null || stalenessMs > graceMs / 2) return undefined;
  return catalog.read((reader) => keys.filter((key) => !isNamed(reader, key)));
}

/** `<image>/<upload>.data`, and the same with `.map`. */
function isOurs(key: ObjectKey): boolean {
  const { image, upload } = partsOf(key);
  return asImageId(image) !== undefined && asImageId(upload) !== undefined;
}

// Whatever the node and store: a key names one object, and a store may have been given another name.
function isNamed(reader: CatalogReader, key: ObjectKey): boolean {
  const { image, upload } = partsOf(key);
  if (reader.upload(asUploadId(upload)) !== undefined) return true;
  const id = asImageId(image);
  const found = id === undefined ? undefined : reader.image(id);
  const data = found === undefined ? undefined : dataOf(found);
  if (data === undefined) return false;
  return (
    data.fileMap?.key === key ||
    data.locations.some((location) => location.key === key || mapBeside(location)?.key === key)
  );
}

function partsOf(key: ObjectKey): { readonly image: string; readonly upload: string } {
  const [image = '', name = '', ...more] = key.split('/');
  const suffix = [DATA_SUFFIX, MAP_SUFFIX].find((known) => name.endsWith(known));
  if (suffix === undefined || more.length > 0) return { image: '', upload: '' };
  return { image, upload: name.slice(0, -suffix.length) };
}
