import type { ImageId, ProjectId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from './caller.js';
import type { Image, Visibility } from './image.js';
import { checkFormat, checkMinimum, checkPropertyCount, normalTags } from './image-values.js';
import type { ImageRules } from './limits.js';
import { authorize } from './policy.js';
import { checkProperty, checkPropertyAllowed } from './property.js';
import type { PropertyProtection } from './property-protection.js';
import { checkText } from './text.js';

/** What a caller asks for in a new image. */
export interface NewImage {
  readonly id: ImageId;
  readonly name: string | null;
  readonly visibility: Visibility;
  readonly owner: ProjectId | null;
  readonly protected: boolean;
  readonly osHidden: boolean;
  readonly diskFormat: string | null;
  readonly containerFormat: string | null;
  readonly minDiskGib: number;
  readonly minRamMib: number;
  readonly tags: readonly string[];
  readonly properties: ReadonlyMap<string, string>;
}

/**
 * Makes a queued image (Images API v2 §6.1). INVALID_ARGUMENT: a value out of form. FORBIDDEN: a reserved or protected
 * property, another's project, or public without the right. LIMIT_EXCEEDED: too many tags or properties.
 */
export function newImage(
  request: NewImage,
  context: {
    readonly caller: Caller;
    readonly rules: ImageRules;
    readonly protection: PropertyProtection;
    readonly nowMs: number;
  },
): Image {
  const { caller, rules, protection } = context;
  if (request.name !== null) checkText('name', request.name);
  if (request.owner !== null) checkText('owner', request.owner);
  for (const [name, value] of request.properties) checkProperty(name, value);
  const tags = normalTags(request.tags, rules.limits);
  checkFormat('disk_format', request.diskFormat, rules.diskFormats);
  checkFormat('container_format', request.containerFormat, rules.containerFormats);
  checkMinimum('min_disk', request.minDiskGib);
  checkMinimum('min_ram', request.minRamMib);

  authorize('add_image', caller, { owner: request.owner });
  if (request.visibility === 'public') authorize('publicize_image', caller, { owner: request.owner });
  if (request.visibility === 'community') authorize('communitize_image', caller, { owner: request.owner });
  for (const name of request.properties.keys()) {
    checkPropertyAllowed(name);
    if (!protection.allows('create', name, caller))
      throw new ServiceError('FORBIDDEN', `Attribute '${name}' is reserved.`);
  }
  checkPropertyCount(request.properties, rules.limits);
  return { ...request, tags, version: 1, status: 'queued', createdAtMs: context.nowMs, updatedAtMs: context.nowMs };
}
