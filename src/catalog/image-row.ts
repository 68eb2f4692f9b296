/** Row of `images` ↔ domain image. What the file says is parsed here, once; past this point nobody checks it again. */
import { asImageId, asNodeId, asObjectKey, asProjectId, asStoreId, asUploadId, type ObjectKey } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import {
  dataOf,
  IMAGE_STATUSES,
  type Image,
  type ImageCommon,
  type ImageData,
  type ImageStatus,
  VISIBILITIES,
} from '../domain/image.js';
import { DAMAGES, DIGEST_STATES, type FileMapRef, type Location } from '../domain/location.js';
import { integerAt, integerOrNullAt, type Row, type SqlValue, textAt, textOrNullAt } from './connection.js';

/** The columns in the order of `imageOfRow` and `valuesOf`. */
export const IMAGE_COLUMNS = [
  'id',
  'version',
  'status',
  'name',
  'owner',
  'visibility',
  'protected',
  'os_hidden',
  'disk_format',
  'container_format',
  'min_disk',
  'min_ram',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'created_at',
  'updated_at',
  'deleted_at',
  'upload_id',
  'file_map',
  'tags',
  'properties',
  'locations',
] as const;

/** The values of the image's row, in the order of IMAGE_COLUMNS. */
export function valuesOf(image: Image): readonly SqlValue[] {
  const data = dataOf(image);
  return [
    image.id,
    image.version,
    image.status,
    image.name,
    image.owner,
    image.visibility,
    image.protected ? 1 : 0,
    image.osHidden ? 1 : 0,
    image.diskFormat,
    image.containerFormat,
    image.minDiskGib,
    image.minRamMib,
    data?.sizeBytes ?? null,
    data?.virtualSizeBytes ?? null,
    data?.checksum ?? null,
    data?.osHashAlgo ?? null,
    data?.osHashValue ?? null,
    image.createdAtMs,
    image.updatedAtMs,
    image.status === 'deleted' ? image.deletedAtMs : null,
    image.status === 'saving' ? image.uploadId : null,
    data?.fileMap == null ? null : JSON.stringify(data.fileMap),
    JSON.stringify(image.tags),
    JSON.stringify([...image.properties]),
    JSON.stringify((data?.locations ?? []).map(locationValue)),
  ];
}

/** The image of a row with the columns IMAGE_COLUMNS. @throws ServiceError DATA_CORRUPT when it is not one. */
export function imageOfRow(row: Row): Image {
  const common: ImageCommon = {
    id: asImageId(textAt(row, 0)) ?? damaged('id', row[0]),
    version: integerAt(row, 1),
    name: textOrNullAt(row, 3),
    owner: row[4] === null ? null : asProjectId(textAt(row, 4)),
    visibility: VISIBILITIES.find((visibility) => visibility === row[5]) ?? damaged('visibility', row[5]),
    protected: integerAt(row, 6) === 1,
    osHidden: integerAt(row, 7) === 1,
    diskFormat: textOrNullAt(row, 8),
    containerFormat: textOrNullAt(row, 9),
    minDiskGib: integerAt(row, 10),
    minRamMib: integerAt(row, 11),
    createdAtMs: integerAt(row, 17),
    updatedAtMs: integerAt(row, 18),
    tags: parseArray(textAt(row, 22)).map((tag) => asText('tag', tag)),
    properties: pairsOf('properties', JSON.parse(textAt(row, 23))),
  };
  const status = IMAGE_STATUSES.find((known) => known === row[2]) ?? damaged('status', row[2]);
  return withState(common, status, row);
}

function withState(common: ImageCommon, status: ImageStatus, row: Row): Image {
  switch (status) {
    case 'queued':
    case 'uploading':
    case 'importing':
    case 'killed':
      return { ...common, status };
    case 'saving':
      return { ...common, status, uploadId: asUploadId(textAt(row, 20)) };
    case 'active':
    case 'deactivated':
    case 'pending_delete':
      return { ...common, status, data: dataOfRow(row) };
    case 'deleted':
      return { ...common, status, deletedAtMs: integerAt(row, 19) };
  }
}

function dataOfRow(row: Row): ImageData {
  return {
    sizeBytes: integerAt(row, 12),
    virtualSizeBytes: integerOrNullAt(row, 13),
    checksum: textOrNullAt(row, 14),
    osHashAlgo: textOrNullAt(row, 15),
    osHashValue: textOrNullAt(row, 16),
    locations: parseArray(textAt(row, 24)).map(locationOf),
    fileMap: row[21] === null ? null : fileMapOf(JSON.parse(textAt(row, 21))),
  };
}

/** A location as it is kept in JSON. */
export function locationValue(location: Location): object {
  return { ...location, metadata: [...location.metadata] };
}

/** @throws ServiceError DATA_CORRUPT when the value is no location. */
export function locationOf(value: unknown): Location {
  const fields = fieldsOf('location', value);
  return {
    id: asText('location id', fields.get('id')),
    nodeId: fields.get('nodeId') == null ? null : asNodeId(asText('location node', fields.get('nodeId'))),
    storeId: asStoreId(asText('location store', fields.get('storeId'))),
    key: keyOf(fields.get('key')),
    metadata: pairsOf('location metadata', fields.get('metadata')),
    // Rows of the first release name only what the service received and stored itself, and do not say so.
    digest: DIGEST_STATES.find((state) => state === (fields.get('digest') ?? 'verified')) ?? damaged('location', value),
    created: fields.get('created') !== false,
    ...damageOf(fields.get('damage')),
  };
}

/** What a newer release may write here is damage all the same. */
function damageOf(value: unknown): Pick<Location, 'damage'> {
  return value === undefined ? {} : { damage: DAMAGES.find((damage) => damage === value) ?? 'damaged' };
}

function fileMapOf(value: unknown): FileMapRef {
  const fields = fieldsOf('file map', value);
  const sizeBytes = fields.get('sizeBytes');
  const nodeId = fields.get('nodeId');
  return {
    storeId: asStoreId(asText('file map store', fields.get('storeId'))),
    key: keyOf(fields.get('key')),
    sizeBytes: typeof sizeBytes === 'number' ? sizeBytes : damaged('file map size', sizeBytes),
    sha256: asText('file map digest', fields.get('sha256')),
    ...(nodeId == null ? {} : { nodeId: asNodeId(asText('file map node', nodeId)) }),
  };
}

function keyOf(value: unknown): ObjectKey {
  return asObjectKey(asText('object key', value)) ?? damaged('object key', value);
}

/** Pairs, not an object: a property may be named `__proto__`, and its place is kept. */
function pairsOf(what: string, value: unknown): ReadonlyMap<string, string> {
  if (!Array.isArray(value)) return damaged(what, value);
  const map = new Map<string, string>();
  for (const pair of value) {
    if (!Array.isArray(pair)) return damaged(what, pair);
    map.set(asText(what, pair[0]), asText(what, pair[1]));
  }
  return map;
}

function fieldsOf(what: string, value: unknown): ReadonlyMap<string, unknown> {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : damaged(what, value);
}

function parseArray(text: string): readonly unknown[] {
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value : damaged('array', value);
}

function asText(what: string, value: unknown): string {
  return typeof value === 'string' ? value : damaged(what, value);
}

function damaged(what: string, value: unknown): never {
  throw new ServiceError(
    'DATA_CORRUPT',
    `catalog: ${what} of a stored image is of type ${typeof value}, or not a known one`,
  );
}
