/** Changes of an image's locations: their rules (Images API v2 §6.9.1), without a store being asked. */
import { asImageId, type ObjectKey } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from './caller.js';
import { commonOf, dataOf, type Image, type ImageData } from './image.js';
import { exceeds, type ImageRules } from './limits.js';
import { type Location, mapLeft } from './location.js';
import { authorize } from './policy.js';

/** What the data at a location should be, as somebody said; lower-case hex. */
export interface ExpectedData {
  readonly checksum: string | null;
  readonly osHashAlgo: string | null;
  readonly osHashValue: string | null;
}

/** A location that is to be added, whose object was found in its store. */
export interface FoundLocation {
  readonly location: Location;
  readonly sizeBytes: number;
  /** null: not known, or the format has none. */
  readonly virtualSizeBytes: number | null;
  readonly expected: ExpectedData | null;
}

export type LocationChange =
  | { readonly kind: 'add'; readonly found: FoundLocation; readonly index: number | null }
  | { readonly kind: 'remove'; readonly id: string }
  | {
      readonly kind: 'replace';
      readonly locations: readonly { readonly id: string; readonly metadata: ReadonlyMap<string, string> }[];
    };

export interface LocationRules {
  readonly caller: Caller;
  readonly rules: ImageRules;
  readonly hashingAlgorithm: string;
}

/** Digits of a digest in hex. */
const HEX_DIGITS: Readonly<Record<string, number>> = {
  md5: 32,
  sha1: 40,
  sha224: 56,
  sha256: 64,
  sha384: 96,
  sha512: 128,
};

/**
 * Applies one change. FORBIDDEN: no right, or it would leave the image without data (OSSA-2016-006). STATE_CONFLICT: not in this
 * status, or other digests than the image has. INVALID_ARGUMENT: no such location, a duplicate, another image's object, another
 * size. LIMIT_EXCEEDED: too many.
 */
export function changeLocations(image: Image, change: LocationChange, context: LocationRules): Image {
  switch (change.kind) {
    case 'add':
      authorize('set_image_location', context.caller, image);
      return addLocation(image, change.found, change.index, context);
    case 'remove':
      authorize('delete_image_location', context.caller, image);
      return removeLocations(image, requireKnown(image, change.id));
    case 'replace':
      authorize('delete_image_location', context.caller, image);
      return replaceLocations(image, change.locations);
  }
}

/** Takes locations out. STATE_CONFLICT: not active. FORBIDDEN: none would be left, or none that is good. */
export function removeLocations(image: Image, gone: (location: Location) => boolean): Image {
  const data = activeData(image, 'removed');
  const left = data.locations.filter((location) => !gone(location));
  const locations = withHeirs(left, data.locations.filter(gone));
  if (locations.length === 0) throw lastLocation(image);
  const isGood = ({ damage }: Location): boolean => damage === undefined;
  if (!locations.some(isGood) && data.locations.some(isGood)) throw lastGoodLocation(image);
  const fileMap = mapLeft(data.fileMap, { before: data.locations, left: locations });
  return withData(image, { ...data, locations: fileMap === null ? unread(data, locations) : locations, fileMap });
}

function addLocation(image: Image, found: FoundLocation, index: number | null, context: LocationRules): Image {
  if (image.status !== 'active' && image.status !== 'queued')
    throw new ServiceError(
      'STATE_CONFLICT',
      `Locations can be added to a queued or active image, not to a ${image.status} one.`,
    );
  const data = dataOf(image);
  const before = data?.locations ?? [];
  checkForeign(before, found.location);
  const quota = context.rules.limits.imageLocationQuota;
  if (exceeds(before.length + 1, quota))
    throw new ServiceError('LIMIT_EXCEEDED', `an image may have at most ${quota} locations`);
  if (before.some((known) => isSame(known, found.location)))
    throw new ServiceError('INVALID_ARGUMENT', 'The image has this location already.');
  const at = index ?? before.length;
  if (at > before.length)
    throw new ServiceError('INVALID_ARGUMENT', `index: expected at most ${before.length}, got ${at}`);
  const locations = [...before.slice(0, at), found.location, ...before.slice(at)];
  if (found.expected !== null) checkExpected(found.expected, data, context.hashingAlgorithm);
  if (data === undefined) return activated(image, found, locations);
  if (data.sizeBytes !== found.sizeBytes)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `The object has ${found.sizeBytes} bytes, the data of the image ${data.sizeBytes}.`,
    );
  return withData(image, { ...data, locations });
}

// Reference §13 D15: digests that nobody compared with the data say so, by the state of the location.
function activated(
  image: Image,
  { sizeBytes, virtualSizeBytes, expected }: FoundLocation,
  locations: readonly Location[],
): Image {
  for (const [name, value] of [
    ['disk_format', image.diskFormat],
    ['container_format', image.containerFormat],
  ])
    if (value === null)
      throw new ServiceError('INVALID_ARGUMENT', `Property ${name} must be set prior to saving data.`);
  const digests = expected ?? { checksum: null, osHashAlgo: null, osHashValue: null };
  return withData(image, { sizeBytes, virtualSizeBytes, ...digests, locations, fileMap: null });
}

/**
 * Keys that the service makes begin with the id of their image. An object under such a key is another image's (LP1546507), or
 * about to be removed, unless this image has it as a location.
 */
function checkForeign(known: readonly Location[], { storeId, key }: Location): void {
  if (!isOfService(key)) return;
  if (!known.some((location) => location.storeId === storeId && location.key === key))
    throw new ServiceError('INVALID_ARGUMENT', 'The URL is not that of an object that this image may have.');
}

function checkExpected(expected: ExpectedData, data: ImageData | undefined, algorithm: string): void {
  const { checksum, osHashAlgo, osHashValue } = expected;
  if (osHashAlgo !== null && osHashAlgo !== algorithm)
    throw new ServiceError('STATE_CONFLICT', `os_hash_algo: expected ${algorithm}, got ${osHashAlgo.slice(0, 32)}`);
  for (const [name, value, digits] of [
    ['checksum', checksum, HEX_DIGITS['md5']],
    ['os_hash_value', osHashValue, HEX_DIGITS[algorithm]],
  ] as const) {
    if (value === null) continue;
    if (!/^[0-9a-f]+$/.test(value) || (digits !== undefined && value.length !== digits))
      throw new ServiceError('STATE_CONFLICT', `${name}: expected ${digits ?? 'some'} hexadecimal digits`);
  }
  if (data === undefined) return;
  if (checksum !== null && checksum !== data.checksum)
    throw new ServiceError('STATE_CONFLICT', 'checksum: not that of the image');
  if (osHashValue !== null && osHashValue !== data.osHashValue)
    throw new ServiceError('STATE_CONFLICT', 'os_hash_value: not that of the image');
}

function replaceLocations(
  image: Image,
  wanted: readonly { readonly id: string; readonly metadata: ReadonlyMap<string, string> }[],
): Image {
  if (wanted.length === 0) throw lastLocation(image);
  const data = activeData(image, 'replaced');
  const byId = new Map(data.locations.map((location) => [location.id, location]));
  const locations = wanted.flatMap(({ id, metadata }): Location[] => {
    const known = byId.get(id);
    byId.delete(id);
    return known === undefined ? [] : [{ ...known, metadata }];
  });
  if (locations.length !== wanted.length || byId.size > 0)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      'The locations of an image that has some can only be given other metadata: name each of them once.',
    );
  // Two of one object of the service's may be there from earlier releases.
  const isTwice = (one: Location, other: Location): boolean => !isOfService(one.key) && isSame(one, other);
  if (locations.some((one, at) => locations.some((other, there) => there < at && isTwice(one, other))))
    throw new ServiceError('INVALID_ARGUMENT', 'Two locations would be the same.');
  return withData(image, { ...data, locations });
}

function requireKnown(image: Image, id: string): (location: Location) => boolean {
  const known = dataOf(image)?.locations.some((location) => location.id === id) === true;
  if (!known && image.status === 'active')
    throw new ServiceError('INVALID_ARGUMENT', 'The image has no such location.');
  return (location) => location.id === id;
}

function activeData(image: Image, what: string): ImageData {
  if (image.status !== 'active')
    throw new ServiceError(
      'STATE_CONFLICT',
      `Locations of an active image can be ${what}, this one is ${image.status}.`,
    );
  return image.data;
}

function withData(image: Image, data: ImageData): Image {
  return { ...commonOf(image), status: 'active', data };
}

// What the service made has a key of its own: it is one object at whatever node.
function isSameObject(a: Location, b: Location): boolean {
  return a.storeId === b.storeId && a.key === b.key && (isOfService(a.key) || a.nodeId === b.nodeId);
}

/** An object that the service made goes with the last location that names it, and at the node that made it. */
function withHeirs(left: readonly Location[], gone: readonly Location[]): readonly Location[] {
  return left.map((location) => {
    const maker = gone.find((other) => other.created && isSameObject(other, location));
    return maker === undefined ? location : { ...location, nodeId: maker.nodeId, created: true };
  });
}

/** Nothing tells any more whether an object that the service did not make is still what was read there. */
function unread({ fileMap }: ImageData, locations: readonly Location[]): readonly Location[] {
  if (fileMap === null) return locations;
  return locations.map((location) => (location.created ? location : { ...location, digest: 'unverified' }));
}

function lastGoodLocation({ id }: Image): ServiceError {
  return new ServiceError(
    'FORBIDDEN',
    `Image ${id} keeps its last good location: the others are marked as damaged or missing. Have them repaired first (oriel image repair).`,
  );
}

function lastLocation({ id }: Image): ServiceError {
  return new ServiceError('FORBIDDEN', `Image ${id} keeps its last location: delete the image instead.`);
}

function isOfService(key: ObjectKey): boolean {
  const [first = ''] = key.split('/', 1);
  return asImageId(first) !== undefined;
}

function isSame(a: Location, b: Location): boolean {
  if (!isSameObject(a, b)) return false;
  if (a.metadata.size !== b.metadata.size) return false;
  return [...a.metadata].every(([name, value]) => b.metadata.get(name) === value);
}
