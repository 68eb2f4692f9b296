import { usageError } from '../base/service-error.js';
import { ImageVisibility } from '../gen/oriel/catalog/v1/image.js';
import type { ImageChange } from '../gen/oriel/catalog/v1/image_change.js';
import { enumOf } from './image-words.js';

/** The options of `oriel image update`, as commander gives them. */
export interface UpdateOptions {
  readonly name?: string;
  readonly visibility?: string;
  readonly owner?: string;
  readonly diskFormat?: string;
  readonly containerFormat?: string;
  readonly property?: ReadonlyMap<string, string>;
  readonly removeProperty?: readonly string[];
  readonly tag?: readonly string[];
  readonly clearTags?: boolean;
  readonly minDisk?: number;
  readonly minRam?: number;
  readonly protected?: boolean;
  readonly hidden?: boolean;
  readonly expectVersion?: number;
}

/** Returns the changes that the options ask for. INVALID_ARGUMENT: none, or some that contradict each other. */
export function changesOf(options: UpdateOptions): ImageChange[] {
  const { name, visibility, owner, diskFormat, containerFormat, minDisk, minRam, hidden } = options;
  const changes: ImageChange['change'][] = [];
  if (name !== undefined) changes.push({ $case: 'name', value: { value: name } });
  if (diskFormat !== undefined) changes.push({ $case: 'diskFormat', value: { value: diskFormat } });
  if (containerFormat !== undefined) changes.push({ $case: 'containerFormat', value: { value: containerFormat } });
  if (owner !== undefined) changes.push({ $case: 'owner', value: { projectId: owner } });
  if (visibility !== undefined) {
    changes.push({ $case: 'visibility', value: enumOf(ImageVisibility, 'IMAGE_VISIBILITY_', visibility) });
  }
  if (options.protected !== undefined) changes.push({ $case: 'protected', value: options.protected });
  if (hidden !== undefined) changes.push({ $case: 'osHidden', value: hidden });
  if (minDisk !== undefined) changes.push({ $case: 'minDisk', value: minDisk });
  if (minRam !== undefined) changes.push({ $case: 'minRam', value: minRam });
  changes.push(...tagChanges(options), ...propertyChanges(options));
  if (changes.length === 0) {
    throw usageError('nothing to change: expected an option such as --name or --property');
  }
  return changes.map((change) => ({ change }));
}

function tagChanges({ tag, clearTags }: UpdateOptions): ImageChange['change'][] {
  if (tag !== undefined && clearTags === true) {
    throw usageError('--tag and --clear-tags: expected one of them');
  }
  if (tag === undefined && clearTags !== true) return [];
  return [{ $case: 'tags', value: { tags: [...(tag ?? [])] } }];
}

function propertyChanges({ property, removeProperty }: UpdateOptions): ImageChange['change'][] {
  const both = (removeProperty ?? []).find((name) => property?.has(name) === true);
  if (both !== undefined) {
    throw usageError(`--property and --remove-property both name ${JSON.stringify(both)}`);
  }
  const changes: ImageChange['change'][] = [];
  for (const [name, value] of property ?? []) {
    changes.push({ $case: 'property', value: { name, action: { $case: 'set', value } } });
  }
  for (const name of removeProperty ?? []) {
    changes.push({ $case: 'property', value: { name, action: { $case: 'remove', value: {} } } });
  }
  return changes;
}
