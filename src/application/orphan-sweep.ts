import { asImageId, asUploadId, type ObjectKey } from '../base/brand.js';
import { dataOf } from '../domain/image.js';
import { DATA_SUFFIX, MAP_SUFFIX, mapBeside } from '../domain/location.js';
import type { Log } from './log.js';
import type { Catalog, CatalogReader } from './ports/catalog.js';
import type { Clock } from './ports/clock.js';
import type { ImageStore, StoredObject } from './ports/image-store.js';
import type { StoreRegistry } from './store-registry.js';

/** Objects that are looked up in one read of the catalog. */
const BATCH = 100;
/** Orphans that are remembered; more are found by a later sweep. */
const REMEMBERED_MAX = 10_000;

export interface SweepContext {
  readonly catalog: Catalog;
  readonly stores: StoreRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Removes objects of the service's own making that nothing names, from this node's file stores: neither an image, also one that
 * awaits its deletion, nor a running upload. Only what was an orphan in every sweep for `graceMs`, and was not written since, goes;
 * and nothing while the catalog is a copy older than half of that: an object is named by its lease from before its first byte is
 * written. Returns when each orphan that is left was first seen, by store and key, and how many went.
 */
export async function sweepOrphans(
  context: SweepContext,
  {
    graceMs,
    seen,
    signal,
  }: { readonly graceMs: number; readonly seen: ReadonlyMap<string, number>; signal: AbortSignal },
): Promise<{ readonly seen: ReadonlyMap<string, number>; readonly removed: number }> {
  const left = new Map<string, number>();
  let removed = 0;
  for (const { store } of context.stores.all) {
    for await (const batch of oldObjects(context, store, graceMs)) {
      signal.throwIfAborted();
      for (const key of await orphansOf(context, batch, graceMs)) {
        const name = `${store.id}/${key}`;
        const nowMs = context.clock.nowMs();
        const firstSeenMs = seen.get(name) ?? nowMs;
        if (nowMs - firstSeenMs >= graceMs) {
          context.log.warn({ store: store.id, key, firstSeenMs }, 'object removed that nothing names');
          await store.delete(key);
          removed += 1;
        } else if (left.size < REMEMBERED_MAX) left.set(name, firstSeenMs);
      }
    }
  }
  return { seen: left, removed };
}

async function* oldObjects(
  { clock }: SweepContext,
  store: ImageStore,
  graceMs: number,
): AsyncGenerator<readonly ObjectKey[]> {
  let batch: ObjectKey[] = [];
  for await (const object of store.list?.() ?? none()) {
    if (!isOurs(object.key) || clock.nowMs() - object.modifiedAtMs < graceMs) continue;
    batch.push(object.key);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

// eslint-disable-next-line @typescript-eslint/require-await -- nothing is listed.
async function* none(): AsyncGenerator<StoredObject> {
  yield* [];
}

async function orphansOf({ catalog }: SweepContext, keys: readonly ObjectKey[], graceMs: number) {
  const { ok, stalenessMs } = catalog.status();
  if (!ok || stalenessMs === null || stalenessMs > graceMs / 2) return [];
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
