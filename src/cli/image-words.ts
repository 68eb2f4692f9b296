/** Images in the words of the Images API: for JSON, for tables, and from options. */
import { ServiceError } from '../base/service-error.js';
import type { Image, ImageMember } from '../gen/oriel/catalog/v1/image.js';
import { bytesText, printable } from './output.js';

export const VISIBILITY_WORDS = ['public', 'private', 'shared', 'community'] as const;

/** Returns the word of an enum value: `IMAGE_STATUS_ACTIVE` is `active`. */
export function wordOf(value: string, prefix: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length).toLowerCase() : 'unknown';
}

/** Returns the enum value of a word. INVALID_ARGUMENT: there is none; the message lists the words. */
export function enumOf<T extends string>(values: Readonly<Record<string, T>>, prefix: string, word: string): T {
  const wanted = `${prefix}${word.toUpperCase()}`;
  const known = Object.values(values).filter((value) => value.startsWith(prefix) && !value.endsWith('_UNSPECIFIED'));
  const found = known.find((value) => value === wanted);
  if (found !== undefined) return found;
  const words = known.map((value) => wordOf(value, prefix)).join(', ');
  throw new ServiceError('INVALID_ARGUMENT', `expected one of ${words}, found ${JSON.stringify(word)}`);
}

/** The image as JSON, with the names of the Images API; sizes are numbers. */
export function imageJson(image: Image): Record<string, unknown> {
  return {
    id: image.id,
    name: image.name ?? null,
    status: wordOf(image.status, 'IMAGE_STATUS_'),
    visibility: wordOf(image.visibility, 'IMAGE_VISIBILITY_'),
    owner: image.owner ?? null,
    protected: image.protected,
    os_hidden: image.osHidden,
    disk_format: image.diskFormat ?? null,
    container_format: image.containerFormat ?? null,
    size: numberOrNull(image.size),
    virtual_size: numberOrNull(image.virtualSize),
    checksum: image.checksum ?? null,
    os_hash_algo: image.osHashAlgo ?? null,
    os_hash_value: image.osHashValue ?? null,
    min_disk: image.minDisk,
    min_ram: image.minRam,
    created_at: image.createdAt?.toISOString() ?? null,
    updated_at: image.updatedAt?.toISOString() ?? null,
    tags: image.tags,
    properties: Object.fromEntries([...image.properties].sort(([a], [b]) => (a < b ? -1 : 1))),
    stores: image.stores,
    ...(image.locations.length > 0 ? { locations: image.locations.map(locationJson) } : {}),
    ...(image.directUrl === undefined ? {} : { direct_url: image.directUrl }),
    version: Number(image.version),
  };
}

/** The image as lines of field and value. */
export function imageText(image: Image): string {
  const lines: string[] = [];
  for (const [field, value] of Object.entries(imageJson(image))) {
    if (field === 'properties') continue;
    lines.push(`${field.padEnd(17)} ${valueText(field, value)}`.trimEnd());
  }
  for (const [name, value] of image.properties) lines.push(`property          ${printable(`${name}=${value}`)}`);
  return `${lines.join('\n')}\n`;
}

/** The member as JSON. */
export function memberJson(member: ImageMember): Record<string, unknown> {
  return {
    image_id: member.imageId,
    member_id: member.memberId,
    status: wordOf(member.status, 'MEMBER_STATUS_'),
    created_at: member.createdAt?.toISOString() ?? null,
    updated_at: member.updatedAt?.toISOString() ?? null,
  };
}

/** The cells of an image in a list. */
export function imageRow(image: Image): readonly string[] {
  return [
    image.id,
    wordOf(image.status, 'IMAGE_STATUS_'),
    wordOf(image.visibility, 'IMAGE_VISIBILITY_'),
    image.diskFormat ?? '-',
    image.size === undefined ? '-' : bytesText(Number(image.size)),
    image.name ?? '-',
  ];
}

/** The heads of the cells of `imageRow`; the name is last, as it may be long. */
export const IMAGE_HEADS = ['ID', 'STATUS', 'VISIBILITY', 'FORMAT', 'SIZE', 'NAME'] as const;

function valueText(field: string, value: unknown): string {
  if (value === null) return '-';
  if (typeof value === 'string') return printable(value);
  if (typeof value === 'number' && field.endsWith('size')) return `${value} (${bytesText(value)})`;
  if (Array.isArray(value)) return value.map((item) => valueText('', item)).join(', ');
  return printable(JSON.stringify(value));
}

/** The location as JSON. */
export function locationJson(location: Image['locations'][number]): Record<string, unknown> {
  const metadata = Object.fromEntries(location.metadata);
  const direct = location.directUrl === undefined ? {} : { direct_url: location.directUrl };
  return { id: location.id, store: location.store, url: location.url, ...direct, metadata };
}

function numberOrNull(value: bigint | undefined): number | null {
  return value === undefined ? null : Number(value);
}
