/**
 * Reading data that lies somewhere already, for its digests (Images API v2 §6.9.2): background work of the kind `hash`. An image
 * that was told what to expect becomes active when the data is that, and is queued again when it is not; one that was not told is
 * active meanwhile, and gets its digests and a map by which every later read is verified. What was read is inspected again: a
 * location whose content may not be is marked as damaged.
 */
import { asUploadId, type ImageId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import { encodeFileMap } from '../blocks/file-map.js';
import { firstGood, isUnread, type ReadLocation, withReadLocations } from '../domain/digested-data.js';
import { commonOf, dataOf, type Image, type ImageData } from '../domain/image.js';
import type { FoundLocation } from '../domain/location-change.js';
import type { FileMapRef, Location } from '../domain/location.js';
import type { WorkName } from '../domain/image-work.js';
import type { DataContext } from './data-context.js';
import { isHere } from './object-reads.js';
import type { Effect } from './ports/catalog.js';
import type { Digests } from './ports/digester.js';
import type { ReadFailures } from './read-failures.js';
import { type Formats, inspectDigested, isWrongContent, readForDigests } from './read-for-digests.js';
import { objectKeys } from './upload-lease.js';
import { type Decided, writeDecided } from './write-decided.js';

/** What was read at a location, with all digests. */
interface DigestedLocation extends ReadLocation {
  readonly digests: Digests;
}

/** Does the work of the image; throws what kept it from being done, to be called again. */
export async function hashData(
  context: DataContext,
  imageId: ImageId,
  signal: AbortSignal,
  failures: ReadFailures,
): Promise<void> {
  const name: WorkName = { nodeId: context.nodeId, kind: 'hash', imageId };
  const { work, image } = await context.catalog.read((reader) => ({
    work: reader.workOf(name),
    image: reader.image(imageId),
  }));
  if (work === undefined) return;
  const { candidate } = work;
  // An image that comes back from its deletion gets its work anew.
  if (candidate === null && image !== undefined && hasReadableData(image))
    await hashLocations(context, { name, image, data: image.data, signal });
  else if (candidate !== null && image?.status === 'importing')
    await hashCandidate(context, { name, candidate, signal, failures });
  else await endWork(context, name, () => undefined);
}

type WithData = Extract<Image, { readonly data: ImageData }>;

function hasReadableData(image: Image): image is WithData {
  return 'data' in image && image.status !== 'pending_delete';
}

interface CandidateTask {
  readonly name: WorkName;
  readonly candidate: FoundLocation;
  readonly signal: AbortSignal;
  readonly failures: ReadFailures;
}

/** What was read of a candidate, and the formats that it was inspected for. */
interface DigestedCandidate {
  readonly digests: Digests;
  readonly virtualSizeBytes: number | null;
  readonly formats: Formats;
}

async function hashCandidate(context: DataContext, task: CandidateTask): Promise<void> {
  const { name, candidate, signal } = task;
  const { location, sizeBytes, expected } = candidate;
  const read = await readCandidate(context, task);
  if (read === undefined) {
    await queueAgain(context, name);
    return;
  }
  const { digests, virtualSizeBytes, formats } = read;
  const { checksum, osHashValue } = digests;
  const osHashAlgo = expected?.osHashAlgo ?? context.hashingAlgorithm;
  const known = { sizeBytes, virtualSizeBytes, checksum, osHashAlgo, osHashValue };
  const locations: readonly Location[] = [{ ...location, digest: 'verified' }];
  await endWithMap(context, { name, digests, signal }, (before, fileMap) => {
    if (before.status !== 'importing') return undefined;
    // The content was inspected for the formats that the image had then.
    const { diskFormat, containerFormat } = before;
    return diskFormat === formats.diskFormat && containerFormat === formats.containerFormat
      ? { ...commonOf(before), status: 'active', data: { ...known, locations, fileMap } }
      : { ...commonOf(before), status: 'queued' };
  });
}

/** Reads and inspects the candidate; undefined: it is not what it should be, or could not be read for the last time. */
async function readCandidate(
  context: DataContext,
  { name, candidate, signal, failures }: CandidateTask,
): Promise<DigestedCandidate | undefined> {
  const { imageId } = name;
  const { location, sizeBytes, expected } = candidate;
  const osHashAlgo = expected?.osHashAlgo ?? context.hashingAlgorithm;
  let isReading = true;
  try {
    const digests = await readForDigests(context, { location, sizeBytes, osHashAlgo }, signal);
    const { checksum, osHashValue } = digests;
    if ((expected?.checksum ?? checksum) !== checksum || (expected?.osHashValue ?? osHashValue) !== osHashValue)
      throw new ServiceError('DATA_CORRUPT', 'The data has other digests than validation_data said.');
    isReading = false;
    // As they are now: the owner may change them while the image is importing.
    const formats = formatsOf(await context.catalog.read((reader) => reader.image(imageId)));
    isReading = true;
    const object = { location, sizeBytes, map: digests };
    const virtualSizeBytes = await inspectDigested(context, { ...formats, imageId }, object, signal);
    failures.forget(imageId);
    return { digests, virtualSizeBytes, formats };
  } catch (error) {
    // What took too long could not be read; otherwise it is wanted no more.
    if (!failedWith(signal.reason, 'DEADLINE_EXCEEDED')) signal.throwIfAborted();
    if (!isWrongContent(error) && (!isReading || failures.note(imageId) < context.hashAttempts)) throw error;
    failures.forget(imageId);
    const text = 'data of a location is not as it was said to be, the image is queued again';
    context.log.warn({ err: error, ...name }, text);
    return undefined;
  }
}

/** UNSUPPORTED_MEDIA: the image says no longer what its content should be. */
function formatsOf(image: Pick<Image, 'diskFormat' | 'containerFormat'> | undefined): Formats {
  const { diskFormat = null, containerFormat = null } = image ?? {};
  if (diskFormat === null || containerFormat === null)
    throw new ServiceError('UNSUPPORTED_MEDIA', 'The image has no disk_format or container_format any more.');
  return { diskFormat, containerFormat };
}

async function queueAgain(context: DataContext, name: WorkName): Promise<void> {
  await endWork(context, name, (before) =>
    before.status === 'importing' ? { ...commonOf(before), status: 'queued' } : undefined,
  );
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
  const reads: DigestedLocation[] = [];
  const failed: unknown[] = [];
  for (const location of data.locations) {
    if (!isUnread(location) || !isHere(context, location)) continue;
    try {
      reads.push(await readLocation(context, { image, data, location }, signal));
    } catch (error) {
      signal.throwIfAborted();
      // The others need not wait for this one.
      failed.push(error);
    }
  }
  await endWithReads(context, { name, data, reads, signal });
  if (failed.length > 0) throw failed[0];
}

async function readLocation(
  context: DataContext,
  { image, data, location }: { readonly image: Image; readonly data: ImageData; readonly location: Location },
  signal: AbortSignal,
): Promise<DigestedLocation> {
  const { sizeBytes } = data;
  const osHashAlgo = data.osHashAlgo ?? context.hashingAlgorithm;
  const digests = await readForDigests(context, { location, sizeBytes, osHashAlgo }, signal);
  const { checksum, osHashValue } = digests;
  const read = { location, checksum, osHashAlgo, osHashValue, digests };
  try {
    const object = { location, sizeBytes, map: digests };
    await inspectDigested(context, { ...formatsOf(image), imageId: image.id }, object, signal);
    return { ...read, isWrong: false };
  } catch (error) {
    signal.throwIfAborted();
    if (!isWrongContent(error)) throw error;
    context.log.error({ err: error, ...placeOf(image, location) }, 'content of a location is refused');
    return { ...read, isWrong: true };
  }
}

/** Ends the work, as far as it was done, with the digests and the marks of what was read. */
async function endWithReads(
  context: DataContext,
  task: {
    readonly name: WorkName;
    readonly data: ImageData;
    readonly reads: readonly DigestedLocation[];
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { name, data, reads, signal } = task;
  const first = firstGood(data, reads);
  const change = (before: Image, fileMap: FileMapRef | null): Image | undefined => {
    if (!hasReadableData(before)) return undefined;
    const made = first === undefined || fileMap === null ? null : { of: first, fileMap };
    const judged = withReadLocations(before.data, reads, made);
    for (const location of judged.damaged)
      context.log.error(placeOf(before, location), 'location has other data than its image, it is marked as damaged');
    return { ...before, data: judged.data };
  };
  const isLeft = (location: Location): boolean =>
    isUnread(location) && isHere(context, location) && reads.every((read) => read.location.id !== location.id);
  if (first === undefined || data.fileMap !== null)
    await endWork(context, name, (before) => (reads.length === 0 ? undefined : change(before, null)), isLeft);
  else await endWithMap(context, { name, digests: first.digests, signal }, change, isLeft);
}

function placeOf({ id: imageId }: Image, { id, storeId: store }: Location): Readonly<Record<string, string>> {
  return { imageId, location: id, store };
}

/** Stores the map beside no location (the data may lie where nothing can be stored), and removes it when the image has no use for it. */
async function endWithMap(
  context: DataContext,
  read: { readonly name: WorkName; readonly digests: Digests; readonly signal: AbortSignal },
  change: (before: Image, fileMap: FileMapRef) => Image | undefined,
  isLeft: IsLeft = () => false,
): Promise<void> {
  const { name, digests, signal } = read;
  const store = context.stores.named('');
  const { mapKey: key } = objectKeys(name.imageId, asUploadId(context.ids.uuid()));
  const { bytes, sha256 } = encodeFileMap(digests);
  await store.put(key, once(bytes), { signal, expectedSizeBytes: bytes.length });
  const fileMap = { storeId: store.id, key, sizeBytes: bytes.length, sha256, nodeId: context.nodeId };
  const isUsed = (image: Image | undefined): boolean => image !== undefined && dataOf(image)?.fileMap?.key === key;
  let after: Image | undefined;
  try {
    after = await endWork(context, name, (before) => change(before, fileMap), isLeft);
  } catch (error) {
    // What became of a write without an answer is not known: the sweep of orphans removes the map then.
    const isKnown = !failedWith(error, 'UNAVAILABLE') && !failedWith(error, 'DEADLINE_EXCEEDED');
    if (isKnown && !isUsed(await context.catalog.read((reader) => reader.image(name.imageId)))) await store.delete(key);
    throw error;
  }
  if (!isUsed(after)) await store.delete(key);
}

/** Whether a location is still to be read, so that the work goes on. */
type IsLeft = (location: Location) => boolean;

/** Ends the work with what it makes of the image, and returns that; undefined: nothing. The work stays while a location is left. */
async function endWork(
  context: DataContext,
  name: WorkName,
  change: (before: Image) => Image | undefined,
  isLeft: IsLeft = () => false,
): Promise<Image | undefined> {
  const operation = { opId: context.ids.uuid(), subject: name.imageId, repeatable: false };
  return writeDecided(context, { id: name.imageId, operation }, (reader): Decided<Image | undefined> => {
    const before = reader.image(name.imageId);
    const changed = before === undefined ? undefined : change(before);
    const now = changed ?? before;
    const goesOn = now !== undefined && hasReadableData(now) && now.data.locations.some((location) => isLeft(location));
    const end: readonly Effect[] = goesOn ? [] : [{ kind: 'remove-work', work: name }];
    if (before === undefined || changed === undefined) return { result: undefined, effects: end };
    const after = { ...changed, version: before.version + 1, updatedAtMs: context.clock.nowMs() };
    return { result: after, effects: [{ kind: 'update-image', before, after }, ...end] };
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
