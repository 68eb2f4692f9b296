/**
 * JSON patch of an image (reference §6.4), in its two media types:
 * - `…-v2.1-json-patch`: `{"op": "add", "path": "/name", "value": …}` (draft 10); `add` replaces what exists.
 * - `…-v2.0-json-patch`: `{"add": "/name", "value": …}` (draft 4); `add` of what exists is a conflict.
 */
import { ServiceError } from '../../base/service-error.js';
import type { ImageChange, PropertyChange } from '../../gen/oriel/catalog/v1/image_change.js';
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
import type { LocationStep } from './location-patch.js';
import { parsePointer } from './json-pointer.js';

const PATCH_MEDIA_TYPES = {
  'application/openstack-images-v2.1-json-patch': 'draft10',
  'application/openstack-images-v2.0-json-patch': 'draft4',
} as const;
/** What Accept-Patch says, in the order of reference §6.4. */
const ACCEPT_PATCH = 'application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch';

export type PatchDraft = (typeof PATCH_MEDIA_TYPES)[keyof typeof PATCH_MEDIA_TYPES];

const OPERATIONS = ['add', 'remove', 'replace'] as const;
type Operation = (typeof OPERATIONS)[number];

interface PatchStep {
  readonly operation: Operation;
  readonly path: string;
  readonly value: unknown;
}

/** The changes of a patch, or, in `conflict`, why it can never apply: to be told after the image was found (404 first). */
export interface ParsedPatch {
  readonly changes: (ImageChange | LocationStep)[];
  readonly conflict: ServiceError | null;
}

/** The draft that a Content-Type stands for; UNSUPPORTED_MEDIA (with Accept-Patch) for all others. */
export function patchDraft(contentType: string | undefined): PatchDraft {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  for (const [known, draft] of Object.entries(PATCH_MEDIA_TYPES)) {
    if (known === mediaType) return draft;
  }
  const got = contentType === undefined ? 'none' : JSON.stringify(mediaType.slice(0, 80));
  throw new ServiceError('UNSUPPORTED_MEDIA', `Content-Type: expected one of ${ACCEPT_PATCH}, got ${got}`, {
    details: { accept_patch: ACCEPT_PATCH },
  });
}

/**
 * Turns a patch into changes for the catalog service. Steps about locations are left to
 * `location-patch.ts`. INVALID_ARGUMENT: not a list of operations of this draft, a bad path
 * or value. FORBIDDEN: read-only or reserved attributes, removal of a base attribute.
 */
export function parsePatch(body: unknown, draft: PatchDraft): ParsedPatch {
  if (!Array.isArray(body)) {
    throw new ServiceError('INVALID_ARGUMENT', `expected a list of operations, got ${kindOf(body)}`);
  }
  const items: readonly unknown[] = body;
  const changes: (ImageChange | LocationStep)[] = [];
  let conflict: ServiceError | null = null;
  for (const item of items) {
    const step = draft === 'draft10' ? draft10Step(item) : draft4Step(item);
    const segments = parsePointer(step.path);
    if (segments[0] === 'locations') {
      requireLocationsPath(step.operation, segments);
      changes.push({ operation: step.operation, place: segments[1], value: step.value });
      continue;
    }
    const name = attributeOf(step, segments);
    if (isBaseAttribute(name)) {
      if (step.operation === 'remove') throw new ServiceError('FORBIDDEN', `Attribute '${name}' cannot be removed.`);
      changes.push(attributeChange(name, step.value));
      // Base attributes always exist, hence draft 4 can never add one (reference §6.4 "Effects").
      if (draft === 'draft4' && step.operation === 'add') {
        conflict ??= new ServiceError('STATE_CONFLICT', `Property '${name}' is already present.`);
      }
    } else {
      changes.push({ change: { $case: 'property', value: propertyChange(name, step, draft) } });
    }
  }
  return { changes, conflict };
}

function draft10Step(item: unknown): PatchStep {
  if (!isJsonObject(item)) throw notAnOperation(item);
  const operation = OPERATIONS.find((known) => known === item['op']);
  if (operation === undefined) {
    throw new ServiceError('INVALID_ARGUMENT', `op: expected add, remove or replace, got ${shown(item['op'])}`);
  }
  return finishStep(operation, item['path'], item);
}

function draft4Step(item: unknown): PatchStep {
  if (!isJsonObject(item)) throw notAnOperation(item);
  const named = OPERATIONS.filter((known) => Object.hasOwn(item, known));
  const operation = named[0];
  if (operation === undefined || named.length > 1) {
    throw new ServiceError('INVALID_ARGUMENT', 'expected exactly one of "add", "remove" and "replace" in an operation');
  }
  return finishStep(operation, item[operation], item);
}

function finishStep(operation: Operation, path: unknown, item: Readonly<Record<string, unknown>>): PatchStep {
  if (typeof path !== 'string') {
    throw new ServiceError('INVALID_ARGUMENT', `path of ${operation}: expected a string, got ${kindOf(path)}`);
  }
  if (operation !== 'remove' && !Object.hasOwn(item, 'value')) {
    throw new ServiceError('INVALID_ARGUMENT', `${operation} ${shown(path)}: expected a value, got none`);
  }
  return { operation, path, value: item['value'] };
}

/** The attribute that a step names, when clients may change it. */
function attributeOf(step: PatchStep, segments: readonly string[]): string {
  const name = segments[0] ?? '';
  if (segments.length !== 1) {
    throw new ServiceError('INVALID_ARGUMENT', `expected a path of one segment, got ${shown(step.path)}`);
  }
  if (READ_ONLY_ATTRIBUTES.has(name)) throw new ServiceError('FORBIDDEN', `Attribute '${name}' is read-only.`);
  if (isReserved(name)) throw new ServiceError('FORBIDDEN', `Attribute '${name}' is reserved.`);
  return name;
}

function requireLocationsPath(operation: Operation, segments: readonly string[]): void {
  const index = segments[1];
  const fits =
    operation === 'replace' ? segments.length === 1 : segments.length === 2 && /^(?:-|\d+)$/.test(index ?? '');
  if (!fits) {
    throw new ServiceError(
      'INVALID_ARGUMENT',
      'expected /locations/- or /locations/N for add and remove, /locations for replace',
    );
  }
}

type BaseAttribute = Exclude<keyof typeof ATTRIBUTE_CHECKS, 'id'>;

function isBaseAttribute(name: string): name is BaseAttribute {
  return name !== 'id' && Object.hasOwn(ATTRIBUTE_CHECKS, name);
}

function attributeChange(name: BaseAttribute, value: unknown): ImageChange {
  switch (name) {
    case 'name':
      return {
        change: { $case: 'name', value: { value: checkedText(ATTRIBUTE_CHECKS.name, name, value) ?? undefined } },
      };
    case 'disk_format': {
      const format = checked(ATTRIBUTE_CHECKS.disk_format, name, value) ?? undefined;
      return { change: { $case: 'diskFormat', value: { value: format } } };
    }
    case 'container_format': {
      const format = checked(ATTRIBUTE_CHECKS.container_format, name, value) ?? undefined;
      return { change: { $case: 'containerFormat', value: { value: format } } };
    }
    case 'owner': {
      const projectId = checkedText(ATTRIBUTE_CHECKS.owner, name, value) ?? undefined;
      return { change: { $case: 'owner', value: { projectId } } };
    }
    case 'visibility':
      return { change: { $case: 'visibility', value: checkedVisibility(value) } };
    case 'protected':
      return { change: { $case: 'protected', value: checked(ATTRIBUTE_CHECKS.protected, name, value) } };
    case 'os_hidden':
      return { change: { $case: 'osHidden', value: checked(ATTRIBUTE_CHECKS.os_hidden, name, value) } };
    case 'min_disk':
      return { change: { $case: 'minDisk', value: checked(ATTRIBUTE_CHECKS.min_disk, name, value) } };
    case 'min_ram':
      return { change: { $case: 'minRam', value: checked(ATTRIBUTE_CHECKS.min_ram, name, value) } };
    case 'tags':
      return { change: { $case: 'tags', value: { tags: checkedTags(value) } } };
  }
}

function propertyChange(name: string, step: PatchStep, draft: PatchDraft): PropertyChange {
  requirePropertyName(name);
  if (step.operation === 'remove') return { name, action: { $case: 'remove', value: {} } };
  const value = checkedPropertyValue(name, step.value);
  if (value === null) {
    throw new ServiceError('INVALID_ARGUMENT', `property ${name}: expected a string, got null; remove it instead`);
  }
  if (step.operation === 'replace') return { name, action: { $case: 'replace', value } };
  return { name, action: draft === 'draft4' ? { $case: 'create', value } : { $case: 'set', value } };
}

function notAnOperation(item: unknown): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', `expected an operation as an object, got ${kindOf(item)}`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : kindOf(value);
}
