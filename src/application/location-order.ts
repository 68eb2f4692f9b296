import type { NodeId, StoreId } from '../base/brand.js';
import type { Location } from '../domain/location.js';
import type { Through } from './object-reads.js';
import type { ImageStore } from './ports/image-store.js';

/**
 * What comes first among the locations of an image. `local-first`: what is near, then the heavier store. `weighted`: the heavier
 * store, then what is near. `order`: the order of the image's list.
 */
export type LocationStrategy = 'local-first' | 'weighted' | 'order';

/** A way to the data of an image: a location, and how it is read. */
export interface ReadingWay {
  readonly location: Location;
  readonly through: Through;
}

/** What decides which way is tried first. */
export interface LocationPlaces {
  readonly strategy: LocationStrategy;
  /** Stores that the reader wants first, in this order. */
  readonly prefer: readonly string[];
  /** The site of this node. */
  readonly site: string;
  /** The sites of the other nodes that have a location. */
  readonly sites: ReadonlyMap<NodeId | null, string>;
  /** How the location can be read, the shortest way first. */
  waysTo(location: Location): readonly Through[];
  /** The location is on a disk of this node. */
  isOnDisk(location: Location): boolean;
  /** The site of a store of this node; undefined: the node's. */
  storeSite(storeId: StoreId): string | undefined;
  weight(storeId: StoreId): number;
  /** The way failed a short while ago. */
  failed(way: ReadingWay): boolean;
  /** How slow the way has been, in coarse steps; 0: fast, or not known. */
  slowness(way: ReadingWay): number;
}

/** The name under which failures of a way are remembered. */
export function wayName({ location, through }: ReadingWay): string {
  return `${through} ${location.id}`;
}

/** What tells the servers of a store apart. */
interface Sources {
  get(storeId: StoreId): Pick<ImageStore, 'sourceOf'> | undefined;
}

/** The server or node that a way leads to: what is known of it is known of all locations there. */
export function sourceName({ location, through }: ReadingWay, stores: Sources): string {
  const { storeId, nodeId, key } = location;
  if (through === 'node') return `node ${nodeId ?? ''} ${storeId}`;
  const source = stores.get(storeId)?.sourceOf?.(key);
  return source === undefined ? `store ${storeId}` : `store ${storeId} ${source}`;
}

/**
 * The ways to the data in the order in which they are tried: what is marked as damaged comes last, and before it what failed a short
 * while ago; then the stores that the reader prefers; between those the strategy decides, and between equals the faster.
 */
export function readingOrder(locations: readonly Location[], places: LocationPlaces): readonly ReadingWay[] {
  const ranked = locations.flatMap((location, index) =>
    places.waysTo(location).map((through) => {
      const way = { location, through };
      return { way, rank: rankOf(way, index, places) };
    }),
  );
  ranked.sort((a, b) => {
    const differs = a.rank.findIndex((value, index) => value !== b.rank[index]);
    return differs === -1 ? 0 : (a.rank[differs] ?? 0) - (b.rank[differs] ?? 0);
  });
  return ranked.map(({ way }) => way);
}

/** Lower is tried first. */
function rankOf(way: ReadingWay, index: number, places: LocationPlaces): readonly number[] {
  const { storeId } = way.location;
  const preferred = places.prefer.indexOf(storeId);
  const damaged = way.location.damage === undefined ? 0 : 1;
  const wanted = [damaged, places.failed(way) ? 1 : 0, preferred === -1 ? places.prefer.length : preferred];
  const lightness = -places.weight(storeId);
  switch (places.strategy) {
    case 'local-first':
      return [...wanted, distanceOf(way, places), lightness, places.slowness(way)];
    case 'weighted':
      return [...wanted, lightness, distanceOf(way, places), places.slowness(way)];
    case 'order':
      return [...wanted, index];
  }
}

/** 0: on a disk of this node. 1: at its site, a shared store or another node. 2: elsewhere. */
function distanceOf({ location, through }: ReadingWay, places: LocationPlaces): number {
  if (through === 'node') return places.sites.get(location.nodeId) === places.site ? 1 : 2;
  if (places.isOnDisk(location)) return 0;
  return (places.storeSite(location.storeId) ?? places.site) === places.site ? 1 : 2;
}
