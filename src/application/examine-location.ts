import { createHash } from 'node:crypto';
import { failedWith, ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { type FileMap, verifyUnit } from '../blocks/file-map.js';
import type { ImageData } from '../domain/image.js';
import { type FileMapRef, type Finding, type Location, mapBeside } from '../domain/location.js';
import type { FileMaps } from './file-maps.js';
import { withIdleLimit } from './idle-limit.js';
import type { ReadableStores } from './object-reads.js';
import type { ImageStore } from './ports/image-store.js';
import { unitsOf } from './unit-stream.js';

export interface ExamineContext extends ReadableStores {
  readonly maps: FileMaps;
  /** BLAKE3 of a unit. */
  readonly unitDigest: (unit: Uint8Array) => Uint8Array;
}

export interface Examination {
  readonly signal: AbortSignal;
  /** Called with the bytes of each piece that was read; what is read next waits for it. */
  readonly pace: (bytes: number) => Promise<void>;
  /** Whether objects are read to their end, or only looked up. */
  readonly whole: boolean;
}

/**
 * Looks at the objects of a location in a store of this node, the map beside the data too. Without a map only the size can be told; where
 * bytes are wrong by the mark, and there is no map at hand to see, nothing can be: undefined. UNAVAILABLE: the store does not
 * answer, or gives other bytes from one moment to the next; that is no damage.
 */
export async function examineLocation(
  context: ExamineContext,
  { data, location }: { readonly data: ImageData; readonly location: Location },
  examination: Examination,
): Promise<Finding | undefined> {
  const store = context.stores.get(location.storeId);
  // An operator who took the store out of the configuration may put it back.
  if (store === undefined) return undefined;
  const found = await withIdleLimit(store.stat(location.key), context);
  if (found?.sizeBytes !== data.sizeBytes) return 'missing';
  // A look at the size alone says nothing of a mark that tells of the bytes.
  if (data.fileMap === null || !examination.whole) return location.damage === 'damaged' ? undefined : 'whole';
  try {
    if (!(await isMapWhole(context, { store, location, fileMap: data.fileMap }, examination))) return 'damaged';
    const map = await context.maps.of(data);
    if (map === null) return location.damage === 'damaged' ? undefined : 'whole';
    return (await isDataWhole(context, { store, location, data, map }, examination)) ? 'whole' : 'damaged';
  } catch (error) {
    if (!failedWith(error, 'DATA_CORRUPT')) throw error;
    // The file became shorter while it was read.
    if (location.created) return 'damaged';
    // What is not the service's may be replaced at any time, by the same bytes too.
    throw new ServiceError('UNAVAILABLE', `location ${location.id} was replaced while it was examined`, {
      cause: error,
    });
  }
}

interface Part {
  readonly store: ImageStore;
  readonly location: Location;
}

async function isMapWhole(
  context: ExamineContext,
  { store, location, fileMap }: Part & { readonly fileMap: FileMapRef },
  { signal, pace }: Examination,
): Promise<boolean> {
  const beside = mapBeside(location);
  if (beside === undefined) return true;
  const { sizeBytes, sha256 } = fileMap;
  const found = await withIdleLimit(store.stat(beside.key), context);
  if (found?.sizeBytes !== sizeBytes) return false;
  const hash = createHash('sha256');
  const source = store.read(beside.key, { offsetBytes: 0, lengthBytes: sizeBytes }, { signal });
  for await (const unit of unitsOf(source, { lengthBytes: sizeBytes, limit: context })) {
    hash.update(unit);
    await pace(unit.length);
  }
  return hash.digest('hex') === sha256;
}

async function isDataWhole(
  context: ExamineContext,
  { store, location, data, map }: Part & { readonly data: ImageData; readonly map: FileMap },
  { signal, pace }: Examination,
): Promise<boolean> {
  const { sizeBytes } = data;
  const source = store.read(location.key, { offsetBytes: 0, lengthBytes: sizeBytes }, { signal });
  let unitIndex = 0;
  for await (const unit of unitsOf(source, { lengthBytes: sizeBytes, limit: context })) {
    if (!verifyUnit(map, unitIndex, unit, context.unitDigest)) return false;
    unitIndex += 1;
    await pace(unit.length);
    signal.throwIfAborted();
  }
  return unitIndex === Math.ceil(sizeBytes / UNIT_BYTES);
}
