/** A row of `image_work` ↔ a piece of work. */
import { asImageId, asNodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type ImageWork, WORK_KINDS } from '../domain/image-work.js';
import type { ExpectedData, FoundLocation } from '../domain/location-change.js';
import { type Row, textAt, textOrNullAt } from './connection.js';
import { locationOf, locationValue } from './image-row.js';

export const WORK_COLUMNS = 'node_id, kind, image_id, candidate';

/** Work of kinds that a newer release knows stays for that one. */
export const KNOWN_KINDS = `kind in (${WORK_KINDS.map((kind) => `'${kind}'`).join(', ')})`;

/** The candidate as it is kept. */
export function candidateText({ candidate }: ImageWork): string | null {
  return candidate === null ? null : JSON.stringify({ ...candidate, location: locationValue(candidate.location) });
}

/** The work of a row with the columns WORK_COLUMNS. @throws ServiceError DATA_CORRUPT when it is none. */
export function workOfRow(row: Row): ImageWork {
  const candidate = textOrNullAt(row, 3);
  return {
    nodeId: asNodeId(textAt(row, 0)),
    kind: WORK_KINDS.find((kind) => kind === row[1]) ?? damaged(row[1]),
    imageId: asImageId(textAt(row, 2)) ?? damaged(row[2]),
    candidate: candidate === null ? null : candidateOf(JSON.parse(candidate)),
  };
}

function candidateOf(value: unknown): FoundLocation {
  const { location, sizeBytes, virtualSizeBytes, expected } = fieldsOf(value);
  return {
    location: locationOf(location),
    sizeBytes: typeof sizeBytes === 'number' ? sizeBytes : damaged(value),
    virtualSizeBytes: typeof virtualSizeBytes === 'number' ? virtualSizeBytes : null,
    expected: expected === null ? null : expectedOf(expected),
  };
}

function expectedOf(value: unknown): ExpectedData {
  const { checksum, osHashAlgo, osHashValue } = fieldsOf(value);
  const text = (field: unknown): string | null =>
    field === null || typeof field === 'string' ? field : damaged(value);
  return { checksum: text(checksum), osHashAlgo: text(osHashAlgo), osHashValue: text(osHashValue) };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : damaged(value);
}

function damaged(value: unknown): never {
  throw new ServiceError('DATA_CORRUPT', `catalog: stored work has ${JSON.stringify(value)}`);
}
