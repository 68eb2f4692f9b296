import { ServiceError } from '../../base/service-error.js';
import { CreateImageRequest } from '../../gen/oriel/catalog/v1/catalog_service.js';
import { isJsonObject, kindOf } from '../json-body.js';
import {
  ATTRIBUTE_CHECKS,
  checked,
  checkedPropertyValue,
  checkedTags,
  checkedText,
  checkedVisibility,
  isReserved,
  READ_ONLY_ATTRIBUTES,
  requirePropertyName,
} from './image-attributes.js';

/** Accepted and ignored in a create body (reference §3.1). */
const IGNORED: ReadonlySet<string> = new Set(['os_hash_algo', 'os_hash_value']);

/**
 * Turns the body of `POST /v2/images` (reference §6.1) into the request of the catalog service. FORBIDDEN for read-only
 * and reserved attributes, told before values are looked at; INVALID_ARGUMENT for values that do not fit.
 */
export function parseCreateImageBody(body: unknown): CreateImageRequest {
  if (!isJsonObject(body)) {
    throw new ServiceError('INVALID_ARGUMENT', `expected a JSON object that describes the image, got ${kindOf(body)}`);
  }
  for (const name of Object.keys(body)) refuseForbidden(name);
  const request = CreateImageRequest.create();
  for (const [name, value] of Object.entries(body)) {
    if (!IGNORED.has(name) && !setAttribute(request, name, value)) setProperty(request, name, value);
  }
  return request;
}

function refuseForbidden(name: string): void {
  if (IGNORED.has(name) || name === 'id') return;
  if (READ_ONLY_ATTRIBUTES.has(name)) {
    throw new ServiceError('FORBIDDEN', `Attribute '${name}' is read-only.`);
  }
  if (isReserved(name) || name === 'locations') {
    throw new ServiceError('FORBIDDEN', `Attribute '${name}' is reserved.`);
  }
}

/** Sets a base attribute; false when the name is none. */
function setAttribute(request: CreateImageRequest, name: string, value: unknown): boolean {
  switch (name) {
    case 'id':
      request.id = checked(ATTRIBUTE_CHECKS.id, name, value);
      return true;
    case 'name':
      request.name = checkedText(ATTRIBUTE_CHECKS.name, name, value) ?? undefined;
      return true;
    case 'disk_format':
      request.diskFormat = checked(ATTRIBUTE_CHECKS.disk_format, name, value) ?? undefined;
      return true;
    case 'container_format':
      request.containerFormat = checked(ATTRIBUTE_CHECKS.container_format, name, value) ?? undefined;
      return true;
    case 'visibility':
      request.visibility = checkedVisibility(value);
      return true;
    case 'protected':
      request.protected = checked(ATTRIBUTE_CHECKS.protected, name, value);
      return true;
    case 'os_hidden':
      request.osHidden = checked(ATTRIBUTE_CHECKS.os_hidden, name, value);
      return true;
    case 'min_ram':
      request.minRam = checked(ATTRIBUTE_CHECKS.min_ram, name, value);
      return true;
    case 'min_disk':
      request.minDisk = checked(ATTRIBUTE_CHECKS.min_disk, name, value);
      return true;
    case 'owner':
      request.owner = { projectId: checkedText(ATTRIBUTE_CHECKS.owner, name, value) ?? undefined };
      return true;
    case 'tags':
      request.tags = checkedTags(value);
      return true;
    default:
      return false;
  }
}

function setProperty(request: CreateImageRequest, name: string, value: unknown): void {
  requirePropertyName(name);
  const text = checkedPropertyValue(name, value);
  // Null stands for absent where the schema allows it: the catalog knows texts only.
  if (text !== null) request.properties.set(name, text);
}
