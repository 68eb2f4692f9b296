/** What becomes of the data of an image when locations that nobody had read were read to their end. */
import type { ImageData } from './image.js';
import type { FileMapRef, Location } from './location.js';

/** What was found at a location. */
export interface ReadLocation {
  readonly location: Location;
  readonly checksum: string;
  readonly osHashAlgo: string;
  readonly osHashValue: string;
  /** The content may not be the image's, whatever its digests. */
  readonly isWrong: boolean;
}

interface Judged {
  readonly data: ImageData;
  /** The locations that are marked as damaged now. */
  readonly damaged: readonly Location[];
}

/**
 * The data with what was found. All data is one: what the image is known to have decides, else the first good location that was
 * read. `made` is the map of that one, for data that has none.
 */
export function withReadLocations(
  data: ImageData,
  reads: readonly ReadLocation[],
  made: { readonly of: ReadLocation; readonly fileMap: FileMapRef } | null,
): Judged {
  let known: Pick<ImageData, 'checksum' | 'osHashAlgo' | 'osHashValue'> = data;
  const good = new Set<ReadLocation>();
  const damaged: Location[] = [];
  for (const read of reads) {
    // Taken out meanwhile, or found damaged by somebody else.
    const now = data.locations.find(({ id, key }) => id === read.location.id && key === read.location.key);
    if (now === undefined || !isUnread(now)) continue;
    if (read.isWrong || !isSame(known, read)) damaged.push(now);
    else {
      good.add(read);
      known = {
        checksum: known.checksum ?? read.checksum,
        osHashAlgo: known.osHashAlgo ?? read.osHashAlgo,
        osHashValue: known.osHashValue ?? read.osHashValue,
      };
    }
  }
  const goodIds = new Set([...good].map(({ location }) => location.id));
  const damagedIds = new Set(damaged.map(({ id }) => id));
  const locations = data.locations.map((location): Location => {
    if (goodIds.has(location.id)) return { ...location, digest: 'verified' };
    return damagedIds.has(location.id) ? { ...location, damage: 'damaged' } : location;
  });
  const { checksum, osHashAlgo, osHashValue } = known;
  const fileMap = data.fileMap ?? (made !== null && good.has(made.of) ? made.fileMap : null);
  return { data: { ...data, checksum, osHashAlgo, osHashValue, locations, fileMap }, damaged };
}

/** Tells whether nobody knows what lies there. */
export function isUnread({ digest, damage }: Location): boolean {
  return digest === 'unverified' && damage === undefined;
}

/** The first location that was read and is as the image is known to be; undefined: none. */
export function firstGood<Read extends ReadLocation>(data: ImageData, reads: readonly Read[]): Read | undefined {
  return reads.find((read) => !read.isWrong && isSame(data, read));
}

function isSame(known: Pick<ImageData, 'checksum' | 'osHashAlgo' | 'osHashValue'>, read: ReadLocation): boolean {
  return (
    (known.checksum ?? read.checksum) === read.checksum &&
    (known.osHashAlgo !== read.osHashAlgo || (known.osHashValue ?? read.osHashValue) === read.osHashValue)
  );
}
