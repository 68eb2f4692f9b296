import type { NodeId, ObjectKey, StoreId } from '../base/brand.js';
import { asObjectKey } from '../base/brand.js';

/** What is known of the bytes at a location: the service has read them to the end, or nobody has. */
export const DIGEST_STATES = ['verified', 'unverified'] as const;
export type DigestState = (typeof DIGEST_STATES)[number];

/** What was found wrong with an object: other bytes than were stored, or no object of that size. */
export const DAMAGES = ['damaged', 'missing'] as const;
export type Damage = (typeof DAMAGES)[number];

/** What a look at an object found: damage, or what was stored. */
export type Finding = Damage | 'whole';

/** A place where the data of an image lies: an object in a store of ours. */
export interface Location {
  readonly id: string;
  /** The node that the store belongs to; null: the authority's, from before nodes were named. */
  readonly nodeId: NodeId | null;
  readonly storeId: StoreId;
  readonly key: ObjectKey;
  readonly metadata: ReadonlyMap<string, string>;
  readonly digest: DigestState;
  /** The service made the object. It removes no others from a store, whoever named them as a location (LP1546507). */
  readonly created: boolean;
  /** Set: the object is not what it was. Releases before do not know the mark, and read the location as any other. */
  readonly damage?: Damage;
}

/** The map of a stored file: an object of its own beside the data, with the digest that pins it (`blocks/file-map.ts`). */
export interface FileMapRef {
  readonly storeId: StoreId;
  readonly key: ObjectKey;
  readonly sizeBytes: number;
  /** SHA-256 of the map object, lower-case hex. */
  readonly sha256: string;
  /** Whose store it is in when it lies beside no location: the node read data that lies elsewhere. */
  readonly nodeId?: NodeId;
}

/** An object, and the node whose store it is in. */
export type ObjectPlace = Pick<Location, 'nodeId' | 'storeId' | 'key'>;

/** What the keys of objects that the service makes end in: the data of an image, and the map beside it. */
export const DATA_SUFFIX = '.data';
export const MAP_SUFFIX = '.map';

/** Where the map lies that was stored beside the data; undefined for an object that the service did not make. */
export function mapBeside({ nodeId, storeId, key, created }: Location): ObjectPlace | undefined {
  if (!created || !key.endsWith(DATA_SUFFIX)) return undefined;
  const mapKey = asObjectKey(`${key.slice(0, -DATA_SUFFIX.length)}${MAP_SUFFIX}`);
  return mapKey === undefined ? undefined : { nodeId, storeId, key: mapKey };
}

/** The objects that go with a location: what the service made for it, and nothing else. */
export function objectsOf(location: Location): readonly ObjectPlace[] {
  if (!location.created) return [];
  const { nodeId, storeId, key } = location;
  const map = mapBeside(location);
  return map === undefined ? [{ nodeId, storeId, key }] : [{ nodeId, storeId, key }, map];
}

/**
 * The places of the map of a file, best first: equal data has equal maps, so that the one beside any copy will do. `map` alone
 * lies beside the first location when no copy tells otherwise, as in the first releases.
 */
export function mapPlaces(map: FileMapRef, locations: readonly Location[]): readonly ObjectPlace[] {
  const beside = locations.flatMap((location) => mapBeside(location) ?? []);
  if (map.nodeId !== undefined) return [{ nodeId: map.nodeId, storeId: map.storeId, key: map.key }, ...beside];
  if (beside.some((place) => place.storeId === map.storeId && place.key === map.key)) return beside;
  return [{ nodeId: locations[0]?.nodeId ?? null, storeId: map.storeId, key: map.key }, ...beside];
}

/**
 * The reference to the map when only these locations are left: beside one of them, else where a location that goes has it, which it
 * outlives. null when no map is left either.
 */
export function mapLeft(
  map: FileMapRef | null,
  { before, left }: { readonly before: readonly Location[]; readonly left: readonly Location[] },
): FileMapRef | null {
  if (map === null || map.nodeId !== undefined) return map;
  const places = left.flatMap((location) => mapBeside(location) ?? []);
  if (places.some(({ storeId, key }) => storeId === map.storeId && key === map.key)) return map;
  const [place] = places;
  if (place !== undefined) return { ...map, storeId: place.storeId, key: place.key };
  // What is damaged or gone has hardly its map.
  const good = before.filter(({ damage }) => damage === undefined).flatMap((location) => mapBeside(location) ?? []);
  const own = good.find(({ storeId, key }) => storeId === map.storeId && key === map.key) ?? good[0];
  if (own === undefined || own.nodeId === null) return null;
  return { ...map, storeId: own.storeId, key: own.key, nodeId: own.nodeId };
}

/**
 * The objects that the service made for these locations and that none of those left needs, at whatever node: a store may be shared,
 * and the keys that the service makes are of one object each.
 */
export function objectsGone(before: readonly Location[], left: readonly Location[]): readonly ObjectPlace[] {
  const nameOf = ({ storeId, key }: ObjectPlace): string => JSON.stringify([storeId, key]);
  const needed = new Set(left.flatMap((location) => [location, ...objectsOf(location)]).map(nameOf));
  const gone = new Map(before.flatMap(objectsOf).map((place) => [JSON.stringify(place), place]));
  return [...gone.values()].filter((place) => !needed.has(nameOf(place)));
}
