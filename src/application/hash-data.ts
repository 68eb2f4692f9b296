/**
 * Reading data that lies somewhere already, for its digests (Images API v2 §6.9.2): background work of the kind `hash`. An image
 * that was told what to expect becomes active when the data is that, and is queued again when it is not; one that was not told is
 * active meanwhile, and gets its digests and a map by which every later read is verified.
 */
import { asUploadId, type ImageId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import { encodeFileMap } from '../blocks/file-map.js';
import { commonOf, dataOf, type Image, type ImageData } from '../domain/image.js';
import type { FoundLocation } from '../domain/location-change.js';
import type { FileMapRef, Location } from '../domain/location.js';
import type { WorkName } from '../domain/image-work.js';
import type { DataContext } from './data-context.js';
import { openReadable } from './object-reads.js';
import { isOwn } from './own-objects.js';
import type { Effect } from './ports/catalog.js';
import type { Digests } from './ports/digester.js';
import { unitsOf } from './unit-stream.js';
import { objectKeys } from './upload-lease.js';
import { type Decided, writeDecided } from './write-decided.js';

/** A source that is slower holds one of the few slots of this work for others. */
const LEAST_BYTES_PER_S = 256 * 1024;

/** What was read at a location. */
interface ReadData {
  readonly location: Location;
  readonly digests: Digests;
  readonly osHashAlgo: string;
}

/** Does the work of the image; throws what kept it from reading the data, to be called again. */
export async function hashData(
  context: DataContext,
  imageId: ImageId,
  signal: AbortSignal,
  failures: number,
): Promise<void> {
  const name: WorkName = { nodeId: context.nodeId, kind: 'hash', imageId };
  const { work, image } = await context.catalog.read((reader) => ({
    work: reader.workOf(name),
    image: reader.image(imageId),
  }));
  if (work === undefined) return;
  const { candidate } = work;
  if (candidate === null && image !== undefined && 'data' in image)
    await hashLocations(context, { name, image, data: image.data, signal });
  else if (candidate !== null && image?.status === 'importing')
    await hashCandidate(context, { name, candidate, signal, failures });
  else await endWork(context, name, () => undefined);
}

async function hashCandidate(
  context: DataContext,
  task: {
    readonly name: WorkName;
    readonly candidate: FoundLocation;
    readonly signal: AbortSignal;
    readonly failures: number;
  },
): Promise<void> {
  const { name, candidate, signal } = task;
  const { location, sizeBytes, virtualSizeBytes, expected } = candidate;
  const osHashAlgo = expected?.osHashAlgo ?? context.hashingAlgorithm;
  try {
    const read = await readThrough(context, { location, sizeBytes, osHashAlgo }, signal);
    const { checksum, osHashValue } = read.digests;
    if ((expected?.checksum ?? checksum) !== checksum || (expected?.osHashValue ?? osHashValue) !== osHashValue)
      throw new ServiceError('DATA_CORRUPT', 'The data has other digests than validation_data said.');
    const known = { sizeBytes, virtualSizeBytes, checksum, osHashAlgo, osHashValue };
    const locations: readonly Location[] = [{ ...location, digest: 'verified' }];
    await endWithMap(context, { name, digests: read.digests, signal }, (before, fileMap) =>
      before.status === 'importing'
        ? { ...commonOf(before), status: 'active', data: { ...known, locations, fileMap } }
        : undefined,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (!failedWith(error, 'DATA_CORRUPT') && task.failures + 1 < context.hashAttempts) throw error;
    context.log.warn(
      { err: error, ...name },
      'data of a location is not as it was said to be, the image is queued again',
    );
    await endWork(context, name, (before) =>
      before.status === 'importing' ? { ...commonOf(before), status: 'queued' } : undefined,
    );
  }
}

async function hashLocations(
  context: DataContext,
  task: {
    readonly name: WorkName;
    readonly image: Image;
    readonly data: ImageData;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { name, image, data, signal } = task;
  const osHashAlgo = data.osHashAlgo ?? context.hashingAlgorithm;
  const good: ReadData[] = [];
  for (const location of data.locations) {
    if (location.digest === 'verified' || !isOwn(context, location)) continue;
    const read = await readThrough(context, { location, sizeBytes: data.sizeBytes, osHashAlgo }, signal);
    if (isSame(context, image, data, read)) good.push(read);
  }
  const change = (before: Image, fileMap: FileMapRef | null): Image | undefined =>
    'data' in before ? { ...before, data: withDigests(before.data, good, fileMap) } : undefined;
  const [first] = good;
  if (first === undefined || data.fileMap !== null)
    await endWork(context, name, (before) => (first === undefined ? undefined : change(before, null)));
  else await endWithMap(context, { name, digests: first.digests, signal }, change);
}

// What the image is known to have was computed by the service, or was said by whoever may say it.
function isSame(
  context: DataContext,
  image: Image,
  data: ImageData,
  { digests, osHashAlgo, location }: ReadData,
): boolean {
  const same =
    (data.checksum ?? digests.checksum) === digests.checksum &&
    (data.osHashAlgo !== osHashAlgo || (data.osHashValue ?? digests.osHashValue) === digests.osHashValue);
  const place = { imageId: image.id, location: location.id, store: location.storeId };
  if (!same) context.log.error(place, 'location has other data than the digests of its image say');
  return same;
}

function withDigests(data: ImageData, good: readonly ReadData[], fileMap: FileMapRef | null): ImageData {
  const [first] = good;
  const ids = new Set(good.map(({ location }) => location.id));
  return {
    ...data,
    checksum: data.checksum ?? first?.digests.checksum ?? null,
    osHashAlgo: data.osHashAlgo ?? first?.osHashAlgo ?? null,
    osHashValue: data.osHashValue ?? first?.digests.osHashValue ?? null,
    locations: data.locations.map((location) =>
      ids.has(location.id) ? { ...location, digest: 'verified' } : location,
    ),
    fileMap: data.fileMap ?? fileMap,
  };
}

async function readThrough(
  context: DataContext,
  object: { readonly location: Location; readonly sizeBytes: number; readonly osHashAlgo: string },
  signal: AbortSignal,
): Promise<ReadData> {
  const { location, sizeBytes, osHashAlgo } = object;
  const session = context.digester.open(osHashAlgo);
  const stop = new AbortController();
  try {
    const range = { offsetBytes: 0, lengthBytes: sizeBytes };
    const source = await openReadable(context, { location, sizeBytes }, range, AbortSignal.any([signal, stop.signal]));
    const cut = unitsOf(source, { lengthBytes: sizeBytes, limit: context, leastBytesPerS: LEAST_BYTES_PER_S });
    const units = session.units(cut)[Symbol.asyncIterator]();
    while ((await units.next()).done !== true) signal.throwIfAborted();
    return { location, osHashAlgo, digests: await session.finish() };
  } finally {
    stop.abort();
    session.abort();
  }
}

/** Stores the map beside no location (the data may lie where nothing can be stored), and removes it when the image has no use for it. */
async function endWithMap(
  context: DataContext,
  read: { readonly name: WorkName; readonly digests: Digests; readonly signal: AbortSignal },
  change: (before: Image, fileMap: FileMapRef) => Image | undefined,
): Promise<void> {
  const { name, digests, signal } = read;
  const store = context.stores.named('');
  const { mapKey: key } = objectKeys(name.imageId, asUploadId(context.ids.uuid()));
  const { bytes, sha256 } = encodeFileMap(digests);
  await store.put(key, once(bytes), { signal, expectedSizeBytes: bytes.length });
  const fileMap = { storeId: store.id, key, sizeBytes: bytes.length, sha256, nodeId: context.nodeId };
  const after = await endWork(context, name, (before) => change(before, fileMap));
  const isUsed = after !== undefined && dataOf(after)?.fileMap?.key === key;
  if (!isUsed) await store.delete(key);
}

/** Ends the work with what it makes of the image, and returns that; undefined: nothing. */
async function endWork(
  context: DataContext,
  name: WorkName,
  change: (before: Image) => Image | undefined,
): Promise<Image | undefined> {
  const operation = { opId: context.ids.uuid(), subject: name.imageId, repeatable: false };
  return writeDecided(context, { id: name.imageId, operation }, (reader): Decided<Image | undefined> => {
    const before = reader.image(name.imageId);
    const changed = before === undefined ? undefined : change(before);
    const end: Effect = { kind: 'remove-work', work: name };
    if (before === undefined || changed === undefined) return { result: undefined, effects: [end] };
    const after = { ...changed, version: before.version + 1, updatedAtMs: context.clock.nowMs() };
    return { result: after, effects: [{ kind: 'update-image', before, after }, end] };
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
