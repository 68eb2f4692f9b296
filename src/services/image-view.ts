import { type Caller, isAdmin } from '../domain/caller.js';
import { dataOf, type Image } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import type { Member } from '../domain/member.js';
import { allows } from '../domain/policy.js';
import type { PropertyProtection } from '../domain/property-protection.js';
import { type ImageLocation, type Image as ImageMessage, type ImageMember } from '../gen/oriel/catalog/v1/image.js';
import { DIGEST_STATE_TO_WIRE, MEMBER_STATUS_TO_WIRE, STATUS_TO_WIRE, VISIBILITY_TO_WIRE } from './image-words.js';

export interface ImageViewOptions {
  readonly protection: PropertyProtection;
  /** Owners, administrators and services see the locations in the image. */
  readonly showLocations: boolean;
  /** Owners, administrators and services see the URL of the best location. */
  readonly showDirectUrl: boolean;
  /** More than one store is configured, so that images say where they are. */
  readonly showStores: boolean;
  /** The URL of a location, without credentials. */
  url(location: Location): string;
  /** A URL by which anyone reads the location until it expires; undefined: there is none. */
  directUrl(location: Location): string | undefined;
}

/** Turns images into messages as one caller may see them. */
export class ImageView {
  readonly #options: ImageViewOptions;
  // Most views are the same for everyone, and none of those has a URL that expires. One message for each version of an image lets the gateway render it once.
  readonly #plain = new WeakMap<Image, ImageMessage>();

  constructor(options: ImageViewOptions) {
    this.#options = options;
  }

  message(caller: Caller, image: Image): ImageMessage {
    const { protection, showLocations, showDirectUrl } = this.#options;
    // Images API v2 §6.3: the locations of a deactivated image are the administrators'.
    const blocked = image.status === 'deactivated' && !isAdmin(caller);
    const personal = (showLocations || showDirectUrl) && !blocked && allows('get_image_location', caller, image);
    if (personal || !protection.allowsEverything) return this.#personal(caller, image, personal);
    const known = this.#plain.get(image);
    if (known !== undefined) return known;
    const message = this.#common(image);
    this.#plain.set(image, message);
    return message;
  }

  #personal(caller: Caller, image: Image, seesLocations: boolean): ImageMessage {
    const message = this.#common(image);
    message.properties = new Map(
      [...image.properties].filter(([name]) => this.#options.protection.allows('read', name, caller)),
    );
    const locations = seesLocations ? (dataOf(image)?.locations ?? []) : [];
    const opened = this.#options.showDirectUrl ? openedTo(caller, image) : [];
    if (this.#options.showLocations)
      message.locations = locations.map((location) => this.#location(location, opened.includes(location)));
    if (this.#options.showDirectUrl) message.directUrl = this.#directUrl(locations, opened);
    return message;
  }

  /** The first URL that can be read by anyone; else that of the first good location, for who knows what it means. */
  #directUrl(locations: readonly Location[], opened: readonly Location[]): string | undefined {
    for (const location of locations) {
      const url = opened.includes(location) ? this.#options.directUrl(location) : undefined;
      if (url !== undefined) return url;
    }
    const [first] = goodOf(locations);
    return first && this.#options.url(first);
  }

  #common(image: Image): ImageMessage {
    const data = dataOf(image);
    return {
      id: image.id,
      version: BigInt(image.version),
      name: image.name ?? undefined,
      status: STATUS_TO_WIRE[image.status],
      visibility: VISIBILITY_TO_WIRE[image.visibility],
      owner: image.owner ?? undefined,
      protected: image.protected,
      osHidden: image.osHidden,
      diskFormat: image.diskFormat ?? undefined,
      containerFormat: image.containerFormat ?? undefined,
      size: bigintOf(data?.sizeBytes),
      virtualSize: bigintOf(data?.virtualSizeBytes),
      checksum: data?.checksum ?? undefined,
      osHashAlgo: data?.osHashAlgo ?? undefined,
      osHashValue: data?.osHashValue ?? undefined,
      minDisk: image.minDiskGib,
      minRam: image.minRamMib,
      createdAt: new Date(image.createdAtMs),
      updatedAt: new Date(image.updatedAtMs),
      tags: [...image.tags],
      properties: new Map(image.properties),
      locations: [],
      stores: this.#options.showStores ? [...new Set(data?.locations.map(({ storeId }) => storeId))] : [],
      directUrl: undefined,
    };
  }

  /** The locations, for a caller who was found to have the right to see them. */
  locations(caller: Caller, image: Image): ImageLocation[] {
    const opened = openedTo(caller, image);
    return (dataOf(image)?.locations ?? []).map((location) => this.#location(location, opened.includes(location)));
  }

  #location(location: Location, showDirectUrl: boolean): ImageLocation {
    const { id, storeId, nodeId, metadata, digest, created, damage } = location;
    return {
      ...{
        id,
        store: storeId,
        url: this.#options.url(location),
        metadata: new Map(metadata),
        node: nodeId ?? '',
        created,
      },
      digestState: DIGEST_STATE_TO_WIRE[damage ?? digest],
      directUrl: showDirectUrl ? this.#options.directUrl(location) : undefined,
    };
  }
}

/** The locations that the caller may be given a URL for by which anyone reads them: that is a download. */
function openedTo(caller: Caller, image: Image): readonly Location[] {
  const may =
    allows('download_image', caller, image) &&
    (image.status !== 'deactivated' || allows('download_deactivated', caller, image));
  return may ? goodOf(dataOf(image)?.locations ?? []) : [];
}

/**
 * Those that somebody may be sent to: never where there are other bytes than there may be, and to what nobody has read only when there is
 * nothing else (CVE-2022-4134).
 */
function goodOf(locations: readonly Location[]): readonly Location[] {
  const there = locations.filter(({ damage }) => damage !== 'damaged');
  const good = there.filter(({ damage }) => damage === undefined);
  const best = good.length > 0 ? good : there;
  const read = best.filter(({ digest }) => digest === 'verified');
  return read.length > 0 ? read : best;
}

/** Turns a member into its message. */
export function memberMessage(member: Member): ImageMember {
  return {
    imageId: member.imageId,
    memberId: member.memberId,
    status: MEMBER_STATUS_TO_WIRE[member.status],
    createdAt: new Date(member.createdAtMs),
    updatedAt: new Date(member.updatedAtMs),
  };
}

function bigintOf(value: number | null | undefined): bigint | undefined {
  return value === null || value === undefined ? undefined : BigInt(value);
}
