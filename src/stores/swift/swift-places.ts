/**
 * Where objects and their segments lie:
 *
 *   <container>/<key>                                    a whole object, or the manifest of a large one
 *   <container>_segments/<key>/<put>/00000001            a segment; the key's slashes are written "~", which no key has
 *   <container>_segments/<key>/<put>/manifest-00000001   a manifest of segments, where one manifest cannot list them all
 *
 * `<put>` is unique to one put, so that what an interrupted one left can be told from what is published.
 */
import type { ObjectKey } from '../../base/brand.js';

export interface SwiftPlaces {
  /** The paths of the containers below the account. */
  readonly container: string;
  readonly segments: string;
}

export function swiftPlaces(container: string): SwiftPlaces {
  return { container: `/${container}`, segments: `/${container}_segments` };
}

/** What the names of all segments of a key start with. */
export function segmentsPrefix(key: ObjectKey): string {
  return `${key.replaceAll('/', '~')}/`;
}

/** The name of a segment or a manifest behind its prefix; names sort as the numbers do. */
export function numbered(number: number): string {
  return String(number).padStart(8, '0');
}
