/** Ways to fill the partial file of a target with the data of an image as it is stored, best first. All of it is verified. */
import { createHash, type Hash } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { digestOfUnit, type FileMap, unitCountOf, verifyUnit } from '../blocks/file-map.js';
import type { ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import type { ReadableData } from './open-download.js';
import type { ImageStore } from './ports/image-store.js';
import type { PartialFile, TargetFile } from './ports/target-files.js';
import type { CopiedUnit } from './ports/unit-copier.js';
import { withIdleLimit } from './idle-limit.js';
import { readLocations, type ReadingContext } from './read-locations.js';
import type { RunControl } from './shared-runs.js';
import { unitsOf } from './unit-stream.js';
import { checkedFileName } from './verified-units.js';

/** Shorter runs of zero units are read like data: to open the data anew costs more. */
const SKIPPED_UNITS = 4;
/** Progress is told after so many bytes. */
const REPORT_BYTES = 8 * UNIT_BYTES;

export interface FillOptions {
  readonly hardLink: boolean;
  readonly flush: boolean;
}

export interface Filled {
  readonly way: 'reflink' | 'hard-link' | 'copy' | 'convert';
  readonly sizeBytes: number;
  readonly resumedBytes: number;
}

/** What is filled with what. */
export interface Filling {
  readonly source: ReadableData;
  readonly target: TargetFile;
  readonly options: FillOptions;
  readonly control: RunControl;
}

/**
 * Fills the partial file. STATE_CONFLICT: the data has neither a map nor digests to verify it by. DATA_CORRUPT: it is not what its
 * digests say. Others as readLocations and TargetFile.
 */
export async function fillPart(context: ReadingContext, filling: Filling): Promise<Filled> {
  const { data } = filling.source;
  const map = await context.maps.of(data);
  if (map === null) return copyHashed(context, filling);
  const way = await shareObject(context, filling, map);
  if (way === undefined) return copyByMap(context, filling, map);
  filling.control.report(data.sizeBytes, data.sizeBytes);
  return { way, sizeBytes: data.sizeBytes, resumedBytes: 0 };
}

/** Lets the partial file share the blocks, or be the object, of a file store of this node; undefined: there is none that can. */
async function shareObject(
  context: ReadingContext,
  filling: Filling,
  map: FileMap,
): Promise<Filled['way'] | undefined> {
  const { source, target, options } = filling;
  for (const { location, through } of source.order()) {
    const object = through === 'store' ? await lookAt(context, filling, location) : undefined;
    if (object === undefined) continue;
    const url = object.store.url(location.key);
    const reflinked = await target.reflink(url);
    const linked = !reflinked && options.hardLink && (await target.hardLink(url));
    if (!reflinked && !linked) continue;
    // The version before the blocks were shared, since what is verified later must be what they were then. But a second name changes
    // the times of the object.
    const version = linked ? (await lookAt(context, filling, location))?.version : object.version;
    if (await isVerified(context, filling, { ...object, location, version, map }))
      return linked ? 'hard-link' : 'reflink';
    await target.removePart();
  }
  return undefined;
}

/** The object in a file store of this node, if it is there as it should be. A store that cannot be read is not the only place. */
async function lookAt(
  context: ReadingContext,
  { source, control }: Filling,
  location: Location,
): Promise<{ readonly store: ImageStore; readonly version: string | undefined } | undefined> {
  const store = context.stores.get(location.storeId);
  if (store?.type !== 'file') return undefined;
  try {
    const found = await withIdleLimit(store.stat(location.key), context);
    if (found?.sizeBytes !== source.data.sizeBytes) return undefined;
    const version = await (store.versionOf && withIdleLimit(store.versionOf(location.key), context));
    return { store, version };
  } catch (error) {
    control.signal.throwIfAborted();
    context.log.warn({ err: error, imageId: source.image.id, location: location.id }, 'object not readable as a file');
    return undefined;
  }
}

interface StoredObject {
  readonly store: ImageStore;
  readonly location: Location;
  readonly version: string | undefined;
  readonly map: FileMap;
}

/** Verifies what was not verified yet of an object, and that it is still the same at the end. */
async function isVerified(
  context: ReadingContext,
  filling: Filling,
  { location, version, map }: StoredObject,
): Promise<boolean> {
  const { source, control } = filling;
  const { image, data } = source;
  if (version === undefined || data.fileMap === null) return false;
  const flags = context.verified.of(checkedFileName(location, version, data.fileMap.sha256), map.unitIsZero.length);
  if (!flags.every((flag) => flag === 1)) {
    const range = { offsetBytes: 0, lengthBytes: data.sizeBytes };
    try {
      const chunks = await readLocations(context, [{ location, through: 'store' }], {
        image,
        data,
        range,
        signal: control.signal,
        map,
      });
      let doneBytes = 0;
      for await (const chunk of chunks)
        doneBytes = told(control, { doneBytes, addedBytes: chunk.length, totalBytes: data.sizeBytes });
    } catch (error) {
      control.signal.throwIfAborted();
      context.log.warn({ err: error, imageId: image.id, location: location.id }, 'object not shared with a file');
      return false;
    }
  }
  return (await lookAt(context, filling, location))?.version === version;
}

/** Goes on behind what an earlier call left, as far as that is right; zeros are neither read nor written. */
async function copyByMap(context: ReadingContext, filling: Filling, map: FileMap): Promise<Filled> {
  const { source, target, options, control } = filling;
  const { data } = source;
  const part = await target.openPart();
  try {
    const resumedBytes = await rightPrefix(context, { part, map, data, signal: control.signal });
    await part.startAt(resumedBytes, options);
    const rest = { part, map, fromBytes: resumedBytes };
    if (!(await copyObject(context, filling, rest))) {
      await part.startAt(resumedBytes, options);
      await copyStream(context, filling, rest);
    }
    await part.end();
    return { way: 'copy', sizeBytes: data.sizeBytes, resumedBytes };
  } finally {
    await part.close();
  }
}

/** What is still to be written of a partial file. */
interface Rest {
  readonly part: PartialFile;
  readonly map: FileMap;
  readonly fromBytes: number;
}

/**
 * Copies from the file of a store of this node if it is what would be read first; several units at a time, since a reader waits for
 * each. False: there is none, or it is not as it should be.
 */
async function copyObject(context: ReadingContext, filling: Filling, { part, map, fromBytes }: Rest): Promise<boolean> {
  const { source, control } = filling;
  const { data, image } = source;
  const [first] = source.order();
  if (first?.through !== 'store' || data.fileMap === null) return false;
  const { location } = first;
  const object = await lookAt(context, filling, location);
  if (object?.version === undefined) return false;
  const { store, version } = object;
  const flags = context.verified.of(checkedFileName(location, version, data.fileMap.sha256), map.unitIsZero.length);
  const verified: number[] = [];
  let doneBytes = fromBytes;
  const copied = (units: readonly CopiedUnit[]): void => {
    for (const { offsetBytes, lengthBytes } of units) {
      verified.push(offsetBytes / UNIT_BYTES);
      doneBytes = told(control, { doneBytes, addedBytes: lengthBytes, totalBytes: data.sizeBytes });
    }
  };
  const units = dataUnits(map, { fromBytes, flags });
  const isRight = await part.copyFrom(store.url(location.key), units, { copied, signal: control.signal });
  // What was read is of the file whose units were checked only if it is still the same.
  if (!isRight || (await lookAt(context, filling, location))?.version !== version) {
    context.log.warn(
      { imageId: image.id, location: location.id },
      'object not copied as a file, reading it unit by unit',
    );
    return false;
  }
  for (const unitIndex of verified) flags[unitIndex] = 1;
  part.skip(Math.max(0, data.sizeBytes - part.endBytes));
  control.report(data.sizeBytes, data.sizeBytes);
  return true;
}

/** The units that are not zero, from the offset on, with the digests of those that were not verified yet. */
function* dataUnits(
  map: FileMap,
  { fromBytes, flags }: { readonly fromBytes: number; readonly flags: Uint8Array },
): Generator<CopiedUnit, void, undefined> {
  for (let unitIndex = Math.ceil(fromBytes / UNIT_BYTES); unitIndex < map.unitIsZero.length; unitIndex += 1) {
    if (map.unitIsZero[unitIndex] === 1) continue;
    const offsetBytes = unitIndex * UNIT_BYTES;
    const lengthBytes = Math.min(UNIT_BYTES, map.sizeBytes - offsetBytes);
    yield { offsetBytes, lengthBytes, digest: flags[unitIndex] === 1 ? null : digestOfUnit(map, unitIndex) };
  }
}

/** Copies from whichever locations have the data. */
async function copyStream(context: ReadingContext, filling: Filling, { part, map, fromBytes }: Rest): Promise<void> {
  const { source, control } = filling;
  const { image, data } = source;
  const totalBytes = data.sizeBytes;
  let doneBytes = fromBytes;
  for (const { isZero, ...range } of runsOf(map, fromBytes)) {
    if (isZero) {
      part.skip(range.lengthBytes);
      doneBytes = told(control, { doneBytes, addedBytes: range.lengthBytes, totalBytes });
      continue;
    }
    const wanted = { image, data, range, signal: control.signal, map };
    for await (const chunk of await readLocations(context, source.order(), wanted)) {
      await part.write(chunk);
      doneBytes = told(control, { doneBytes, addedBytes: chunk.length, totalBytes });
    }
  }
}

/** How much of the partial file is what the map says. */
async function rightPrefix(
  context: ReadingContext,
  from: { readonly part: PartialFile; readonly map: FileMap; readonly data: ImageData; readonly signal: AbortSignal },
): Promise<number> {
  const { part, map, data, signal } = from;
  const there = Math.min(part.sizeBytes, data.sizeBytes);
  // A unit that is not whole is written again; the last one of the data may be short.
  const lengthBytes = there === data.sizeBytes ? there : there - (there % UNIT_BYTES);
  const source = part.read({ offsetBytes: 0, lengthBytes }, signal);
  let unitIndex = 0;
  let rightBytes = 0;
  for await (const unit of unitsOf(source, { lengthBytes, limit: context })) {
    if (!verifyUnit(map, unitIndex, unit, context.unitDigest)) break;
    unitIndex += 1;
    rightBytes += unit.length;
  }
  return rightBytes;
}

interface UnitRun {
  readonly isZero: boolean;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** The runs of zero and other units from the offset on. */
function* runsOf(map: FileMap, offsetBytes: number): Generator<UnitRun, void, undefined> {
  const unitCount = unitCountOf(map.sizeBytes);
  const run = (first: number, end: number, isZero: boolean): UnitRun => {
    const start = first * UNIT_BYTES;
    return { isZero, offsetBytes: start, lengthBytes: Math.min(end * UNIT_BYTES, map.sizeBytes) - start };
  };
  let dataFirst = Math.ceil(offsetBytes / UNIT_BYTES);
  for (let at = dataFirst; at < unitCount; ) {
    let end = at;
    while (end < unitCount && map.unitIsZero[end] === 1) end += 1;
    if (end - at >= SKIPPED_UNITS) {
      if (at > dataFirst) yield run(dataFirst, at, false);
      yield run(at, end, true);
      dataFirst = end;
    }
    at = Math.max(end, at + 1);
  }
  if (dataFirst < unitCount) yield run(dataFirst, unitCount, false);
}

/** Without a map: from the start, and the whole is compared with the digest of the image. */
async function copyHashed(context: ReadingContext, { source, target, options, control }: Filling): Promise<Filled> {
  const { image, data } = source;
  const digest = digestOf(data);
  if (digest === undefined)
    throw new ServiceError(
      'STATE_CONFLICT',
      `The data of image ${image.id} cannot be verified: it was never read to its end. Copy it into a store first (oriel image copy).`,
    );
  const part = await target.openPart();
  try {
    await part.startAt(0, options);
    let doneBytes = 0;
    const wanted = { image, data, range: { offsetBytes: 0, lengthBytes: data.sizeBytes }, signal: control.signal };
    for await (const chunk of await readLocations(context, source.order(), wanted)) {
      digest.hash.update(chunk);
      await part.write(chunk);
      doneBytes = told(control, { doneBytes, addedBytes: chunk.length, totalBytes: data.sizeBytes });
    }
    await part.end();
  } finally {
    await part.close();
  }
  const found = digest.hash.digest('hex');
  if (found !== digest.expected) {
    await target.removePart();
    const what = `expected ${digest.algorithm} ${digest.expected}, found ${found}`;
    throw new ServiceError('DATA_CORRUPT', `The data of image ${image.id} is not what its digest says: ${what}.`);
  }
  return { way: 'copy', sizeBytes: data.sizeBytes, resumedBytes: 0 };
}

function digestOf(data: ImageData): { algorithm: string; expected: string; hash: Hash } | undefined {
  const { osHashAlgo, osHashValue, checksum } = data;
  if (osHashAlgo !== null && osHashValue !== null)
    return { algorithm: osHashAlgo, expected: osHashValue, hash: createHash(osHashAlgo) };
  return checksum === null ? undefined : { algorithm: 'md5', expected: checksum, hash: createHash('md5') };
}

/** Tells how far it is, every few MiB and at the end, and returns that. */
export function told(
  control: RunControl,
  at: { readonly doneBytes: number; readonly addedBytes: number; readonly totalBytes: number },
): number {
  const doneBytes = at.doneBytes + at.addedBytes;
  const steps = Math.floor(doneBytes / REPORT_BYTES) - Math.floor(at.doneBytes / REPORT_BYTES);
  if (steps > 0 || doneBytes === at.totalBytes) control.report(doneBytes, at.totalBytes);
  return doneBytes;
}
