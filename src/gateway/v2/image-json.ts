import type { Image, ImageLocation, ImageStatus, ImageVisibility } from '../../gen/oriel/catalog/v1/image.js';
import { ImageStatus as Status, ImageVisibility as Visibility } from '../../gen/oriel/catalog/v1/image.js';

/** What of the service's configuration shows in images. */
export interface ImageView {
  readonly showMultipleLocations: boolean;
  /** Images name their stores in multi-store mode only (reference §12.2 "CLI options"). */
  readonly multiStore: boolean;
}

/** The words of the Images API for a status. */
const STATUS_WORDS: Readonly<Record<ImageStatus, string>> = {
  [Status.UNSPECIFIED]: '',
  [Status.QUEUED]: 'queued',
  [Status.SAVING]: 'saving',
  [Status.UPLOADING]: 'uploading',
  [Status.IMPORTING]: 'importing',
  [Status.ACTIVE]: 'active',
  [Status.DEACTIVATED]: 'deactivated',
  [Status.KILLED]: 'killed',
  [Status.PENDING_DELETE]: 'pending_delete',
  [Status.DELETED]: 'deleted',
  [Status.UNRECOGNIZED]: '',
};

/** The words of the Images API for a visibility. */
const VISIBILITY_WORDS: Readonly<Record<ImageVisibility, string>> = {
  [Visibility.UNSPECIFIED]: '',
  [Visibility.PUBLIC]: 'public',
  [Visibility.PRIVATE]: 'private',
  [Visibility.SHARED]: 'shared',
  [Visibility.COMMUNITY]: 'community',
  [Visibility.UNRECOGNIZED]: '',
};

/**
 * Renders images as JSON, once for each message object: the service hands out the same object for an image that did not
 * change, so that a list is put together from texts made before.
 */
export class ImageRenderer {
  readonly #view: ImageView;
  readonly #texts = new WeakMap<Image, string>();

  constructor(view: ImageView) {
    this.#view = view;
  }

  /** The JSON text of the image. */
  text(image: Image): string {
    const known = this.#texts.get(image);
    if (known !== undefined) return known;
    const text = renderImage(image, this.#view);
    this.#texts.set(image, text);
    return text;
  }
}

/** Custom properties first, then the base attributes in the order of reference §3.1. */
function renderImage(image: Image, view: ImageView): string {
  const members: string[] = [];
  for (const [name, value] of image.properties) members.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const base = {
    name: image.name ?? null,
    disk_format: image.diskFormat ?? null,
    container_format: image.containerFormat ?? null,
    visibility: VISIBILITY_WORDS[image.visibility],
    size: jsonNumber(image.size),
    virtual_size: jsonNumber(image.virtualSize),
    status: STATUS_WORDS[image.status],
    checksum: image.checksum ?? null,
    protected: image.protected,
    min_ram: image.minRam,
    min_disk: image.minDisk,
    owner: image.owner ?? null,
    os_hidden: image.osHidden,
    os_hash_algo: image.osHashAlgo ?? null,
    os_hash_value: image.osHashValue ?? null,
    id: image.id,
    created_at: jsonTime(image.createdAt),
    updated_at: jsonTime(image.updatedAt),
    // Undefined members are left out by JSON.stringify.
    locations: view.showMultipleLocations ? image.locations.map((location) => jsonLocation(location, view)) : undefined,
    direct_url: image.directUrl,
    tags: image.tags,
    self: `/v2/images/${image.id}`,
    file: `/v2/images/${image.id}/file`,
    schema: '/v2/schemas/image',
    stores: view.multiStore && image.stores.length > 0 ? image.stores.join(',') : undefined,
  };
  members.push(JSON.stringify(base).slice(1, -1));
  return `{${members.join(',')}}`;
}

/** With more than one store the metadata says which it is (reference §6.9.1 "Response form"). */
export function jsonLocation(location: ImageLocation, { multiStore }: Pick<ImageView, 'multiStore'>): unknown {
  const metadata = Object.fromEntries(location.metadata);
  return { url: location.url, metadata: multiStore ? { ...metadata, store: location.store } : metadata };
}

/** Sizes are below 2^53 (reference §12.8 G21). */
function jsonNumber(value: bigint | undefined): number | null {
  return value === undefined ? null : Number(value);
}

/** `YYYY-MM-DDTHH:MM:SSZ`, without fraction (reference §2.2). */
export function jsonTime(time: Date | undefined): string | null {
  return time === undefined ? null : `${time.toISOString().slice(0, 19)}Z`;
}
