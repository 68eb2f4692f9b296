import type { NodeId, StoreId } from '../base/brand.js';
import type { Location } from '../domain/location.js';

/** What decides which location is read first. */
export interface LocationPlaces {
  /** Stores that the reader wants first, in this order. */
  readonly prefer: readonly string[];
  /** The site of this node. */
  readonly site: string;
  /** The sites of the other nodes that have a location. */
  readonly sites: ReadonlyMap<NodeId | null, string>;
  isOwn(location: Location): boolean;
  weight(storeId: StoreId): number;
  failed(location: Location): boolean;
}

/**
 * The locations in the order in which they are tried, "local-first": what is marked as damaged comes last, and before it what failed
 * a short while ago; then the stores that the reader prefers; this node's before those of its site, those before the others; then the heavier store; then the order
 * of the image.
 */
export function readingOrder(locations: readonly Location[], places: LocationPlaces): readonly Location[] {
  const ranked = locations.map((location) => ({ location, rank: rankOf(location, places) }));
  ranked.sort((a, b) => {
    const differs = a.rank.findIndex((value, index) => value !== b.rank[index]);
    return differs === -1 ? 0 : (a.rank[differs] ?? 0) - (b.rank[differs] ?? 0);
  });
  return ranked.map(({ location }) => location);
}

/** Lower is tried first. */
function rankOf(location: Location, places: LocationPlaces): readonly number[] {
  const preferred = places.prefer.indexOf(location.storeId);
  const near = places.isOwn(location) ? 0 : places.sites.get(location.nodeId) === places.site ? 1 : 2;
  return [
    location.damage === undefined ? 0 : 1,
    places.failed(location) ? 1 : 0,
    preferred === -1 ? places.prefer.length : preferred,
    near,
    -places.weight(location.storeId),
  ];
}
