/** Requests of the catalog service, from messages to the domain. */
import { asProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { CreateImageRequest } from '../application/create-image.js';
import type { ListImagesRequest } from '../application/list-images.js';
import type { RequestedChange } from '../application/update-image.js';
import type { PropertyAction } from '../domain/image-change.js';
import type {
  CreateImageRequest as CreateImageMessage,
  ListImagesRequest as ListImagesMessage,
} from '../gen/oriel/catalog/v1/catalog_service.js';
import { ImageVisibility } from '../gen/oriel/catalog/v1/image.js';
import type { ImageChange as ImageChangeMessage, PropertyChange } from '../gen/oriel/catalog/v1/image_change.js';
import { ImageFilter } from '../gen/oriel/catalog/v1/image_filter.js';
import { locationChangeOf } from './location-request.js';
import {
  integerFieldOf,
  memberScopeOf,
  sortFieldOf,
  timeFieldOf,
  timeOperatorOf,
  visibilityFilterOf,
  visibilityOf,
} from './image-words.js';

/** Turns a message into a request for a new image; the default visibility is shared (Images API v2 §3.1). */
export function newImageOf(message: CreateImageMessage): CreateImageRequest {
  const { owner } = message;
  return {
    requestId: message.requestId,
    id: message.id,
    name: message.name ?? null,
    visibility: message.visibility === ImageVisibility.UNSPECIFIED ? 'shared' : visibilityOf(message.visibility),
    owner: owner === undefined ? undefined : projectOf(owner.projectId),
    protected: message.protected,
    osHidden: message.osHidden,
    diskFormat: message.diskFormat ?? null,
    containerFormat: message.containerFormat ?? null,
    minDiskGib: message.minDisk,
    minRamMib: message.minRam,
    tags: message.tags,
    properties: message.properties,
  };
}

/** Turns a message into a change. INVALID_ARGUMENT: it names none. */
export function imageChangeOf(message: ImageChangeMessage): RequestedChange {
  const { change } = message;
  switch (change?.$case) {
    case 'name':
    case 'diskFormat':
    case 'containerFormat':
      return { field: change.$case, value: change.value.value ?? null };
    case 'owner':
      return { field: 'owner', value: projectOf(change.value.projectId) };
    case 'visibility':
      return { field: 'visibility', value: visibilityOf(change.value) };
    case 'protected':
    case 'osHidden':
      return { field: change.$case, value: change.value };
    case 'minDisk':
      return { field: 'minDiskGib', value: change.value };
    case 'minRam':
      return { field: 'minRamMib', value: change.value };
    case 'tags':
      return { field: 'tags', value: change.value.tags };
    case 'property':
      return { field: 'property', name: change.value.name, action: propertyActionOf(change.value) };
    case 'location':
      return locationChangeOf(change.value);
    case undefined:
      throw new ServiceError('INVALID_ARGUMENT', 'a change must name what changes, got an empty one');
  }
}

function propertyActionOf({ name, action }: PropertyChange): PropertyAction {
  if (action === undefined)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `the change of property ${JSON.stringify(name)} must set, create, replace or remove`,
    );
  return action.$case === 'remove' ? { kind: 'remove' } : { kind: action.$case, value: action.value };
}

/** Turns a message into a list request. */
export function listRequestOf(message: ListImagesMessage): ListImagesRequest {
  const filter = message.filter ?? ImageFilter.create();
  return {
    visibility: visibilityFilterOf(filter.visibility),
    memberStatus: memberScopeOf(filter.memberStatus),
    osHidden: filter.osHidden,
    protected: filter.protected ?? null,
    owner: projectOf(filter.owner),
    ids: filter.ids,
    names: filter.names,
    statuses: filter.statuses,
    diskFormats: filter.diskFormats,
    containerFormats: filter.containerFormats,
    checksum: filter.checksum ?? null,
    osHashValue: filter.osHashValue ?? null,
    tags: filter.tags,
    properties: filter.properties,
    integers: filter.integers.map((range) => ({
      field: integerFieldOf(range.field),
      min: numberOf(range.min, 'min'),
      max: numberOf(range.max, 'max'),
    })),
    times: filter.times.map((match) => ({
      field: timeFieldOf(match.field),
      operator: timeOperatorOf(match.operator),
      seconds: secondsOf(match.value),
    })),
    sort: message.sort.map(({ field, ascending }) => ({ field: sortFieldOf(field), ascending })),
    marker: message.pageToken,
    limit: message.pageSize,
  };
}

/** Turns a 64-bit number of a message into a number; null when absent. INVALID_ARGUMENT: beyond 2^53. */
export function numberOf(value: bigint | undefined, name: string): number | null {
  if (value === undefined) return null;
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `${name} may be at most ${Number.MAX_SAFE_INTEGER}, got ${value.toString()}`,
    );
  return Number(value);
}

function secondsOf(time: Date | undefined): number {
  if (time === undefined) throw new ServiceError('INVALID_ARGUMENT', 'a time filter needs a value');
  return Math.floor(time.getTime() / 1000);
}

function projectOf(text: string | undefined): ReturnType<typeof asProjectId> | null {
  return text === undefined ? null : asProjectId(text);
}
