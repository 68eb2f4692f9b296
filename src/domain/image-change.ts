import type { ProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from './caller.js';
import type { Image, Visibility } from './image.js';
import { checkFormat, checkMinimum, checkPropertyCount, normalTags } from './image-values.js';
import type { ImageRules } from './limits.js';
import { changeLocations, type LocationChange } from './location-change.js';
import { authorize } from './policy.js';
import { checkProperty, checkPropertyAllowed } from './property.js';
import type { PropertyProtection } from './property-protection.js';
import { checkText } from './text.js';

/** What happens to one custom property. `set` takes both cases; `create` wants it absent, the others present. */
export type PropertyAction =
  | { readonly kind: 'set' | 'create' | 'replace'; readonly value: string }
  | { readonly kind: 'remove' };

/** One change of an image. */
export type ImageChange =
  | { readonly field: 'name' | 'diskFormat' | 'containerFormat'; readonly value: string | null }
  | { readonly field: 'owner'; readonly value: ProjectId | null }
  | { readonly field: 'visibility'; readonly value: Visibility }
  | { readonly field: 'protected' | 'osHidden'; readonly value: boolean }
  | { readonly field: 'minDiskGib' | 'minRamMib'; readonly value: number }
  | { readonly field: 'tags'; readonly value: readonly string[] }
  | { readonly field: 'location'; readonly change: LocationChange }
  | { readonly field: 'property'; readonly name: string; readonly action: PropertyAction };

type BaseChange = Exclude<ImageChange, { readonly field: 'property' }>;

/** More than the attributes, tags and properties of an image could need, whatever the quotas. */
const CHANGES_MAX = 1000;

export interface ChangeContext {
  readonly caller: Caller;
  readonly rules: ImageRules;
  readonly protection: PropertyProtection;
  readonly hashingAlgorithm: string;
  readonly nowMs: number;
}

/**
 * Applies changes in order and returns the next version of the image; all of them or an error (Images API v2 §6.4).
 * INVALID_ARGUMENT: a value out of form. FORBIDDEN: not the caller's to change. STATE_CONFLICT: the property is absent, or
 * present. LIMIT_EXCEEDED: too many tags or properties.
 */
export function applyChanges(before: Image, changes: readonly ImageChange[], context: ChangeContext): Image {
  if (changes.length > CHANGES_MAX)
    throw new ServiceError(
      'LIMIT_EXCEEDED',
      `one request may make at most ${CHANGES_MAX} changes, got ${changes.length}`,
    );
  // One copy for all changes: a copy for each would take minutes for a hostile list of them.
  const properties = new Map(before.properties);
  let image: Image = { ...before, properties };
  for (const change of changes) {
    if (change.field === 'property') changeProperty(properties, change.name, change.action, context);
    else image = applyChange(image, change, context);
  }
  checkPropertyCount(properties, context.rules.limits);
  return { ...image, version: before.version + 1, updatedAtMs: context.nowMs };
}

function applyChange(image: Image, change: BaseChange, context: ChangeContext): Image {
  const { caller, rules } = context;
  switch (change.field) {
    case 'name':
      return { ...image, name: change.value === null ? null : checkText('name', change.value) };
    case 'diskFormat':
      return { ...image, diskFormat: nextFormat(image, 'disk_format', change.value, rules.diskFormats) };
    case 'containerFormat':
      return { ...image, containerFormat: nextFormat(image, 'container_format', change.value, rules.containerFormats) };
    case 'owner':
      if (change.value !== null) checkText('owner', change.value);
      authorize('change_owner', caller, image);
      return { ...image, owner: change.value };
    case 'visibility':
      if (change.value === 'public') authorize('publicize_image', caller, image);
      if (change.value === 'community') authorize('communitize_image', caller, image);
      return { ...image, visibility: change.value };
    case 'protected':
      return { ...image, protected: change.value };
    case 'osHidden':
      return { ...image, osHidden: change.value };
    case 'minDiskGib':
      return { ...image, minDiskGib: checkMinimum('min_disk', change.value) };
    case 'minRamMib':
      return { ...image, minRamMib: checkMinimum('min_ram', change.value) };
    case 'tags':
      return { ...image, tags: normalTags(change.value, rules.limits) };
    case 'location':
      return changeLocations(image, change.change, context);
  }
}

// Images API v2 §3.1: the formats can change while queued (or importing); else 403, even to the same value.
function nextFormat(image: Image, attribute: string, value: string | null, allowed: readonly string[]): string | null {
  checkFormat(attribute, value, allowed);
  if (image.status !== 'queued' && image.status !== 'importing')
    throw new ServiceError(
      'FORBIDDEN',
      `Attribute ${attribute} can be replaced only for a queued image, this one is ${image.status}.`,
    );
  return value;
}

function changeProperty(
  properties: Map<string, string>,
  name: string,
  action: PropertyAction,
  { caller, protection }: ChangeContext,
): void {
  if (action.kind !== 'remove') checkProperty(name, action.value);
  checkPropertyAllowed(name);
  const exists = properties.has(name);
  const readable = exists && protection.allows('read', name, caller);
  if (action.kind === 'create' && readable)
    throw new ServiceError('STATE_CONFLICT', `Property ${name} already present.`);
  if ((action.kind === 'replace' || action.kind === 'remove') && !readable)
    throw new ServiceError('STATE_CONFLICT', `Property ${name} does not exist.`);
  // A property that the caller cannot read may not be written over either (reference §9.3 PP3: 403, not an oracle).
  const operation = action.kind === 'remove' ? 'delete' : exists ? 'update' : 'create';
  if ((exists && !readable) || !protection.allows(operation, name, caller))
    throw new ServiceError('FORBIDDEN', `Attribute '${name}' is reserved.`);
  if (action.kind === 'remove') properties.delete(name);
  else properties.set(name, action.value);
}
