import type { NodeId } from '../base/brand.js';
import { damagedLocation, withReplacement } from '../domain/image-damage.js';
import { dataOf, type Image, type ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import type { AuthorityContext } from './catalog-context.js';
import { garbageBetween, garbageEffects } from './image-garbage.js';
import type { Effect, UploadLease } from './ports/catalog.js';
import type { Decided } from './write-decided.js';

/** The effects by which the nodes that have damaged data of the image look for a better copy. */
export function repairWork(authority: NodeId, image: Image): readonly Effect[] {
  const damaged = dataOf(image)?.locations.filter(({ damage, created }) => damage !== undefined && created) ?? [];
  return workAt(authority, image, damaged);
}

/** The effects by which the nodes of these locations look at the image. */
export function workAt(authority: NodeId, { id }: Image, locations: readonly Location[]): readonly Effect[] {
  const nodes = new Set(locations.map(({ nodeId }) => nodeId ?? authority));
  return [...nodes].map((nodeId) => ({
    kind: 'put-work',
    work: { nodeId, kind: 'repair', imageId: id, candidate: null },
  }));
}

/**
 * Puts the copy in the place of a damaged location, whose objects become garbage, all in one change. The owner changed nothing, so
 * the image keeps its time of change. STATE_CONFLICT: the location is there no more. DATA_CORRUPT: the copy is of other data.
 */
export function replaceLocation(
  context: Pick<AuthorityContext, 'nodeId'>,
  before: Image,
  copy: Pick<UploadLease, 'nodeId' | 'storeId'> & { readonly data: ImageData; readonly replaces: string },
): Decided<Image> {
  const { nodeId, storeId } = copy;
  const isOwn = (location: Location): boolean => (location.nodeId ?? context.nodeId) === nodeId;
  const replaced = damagedLocation(before, { id: copy.replaces, storeId, isOwn });
  const after: Image = { ...withReplacement(before, copy.data, replaced), version: before.version + 1 };
  const garbage = garbageEffects(garbageBetween(before, after));
  const done: Effect = { kind: 'remove-work', work: { nodeId, kind: 'repair', imageId: before.id } };
  // Others that are damaged have a good copy now; those of the node itself are next.
  const work = repairWork(context.nodeId, after);
  return { result: after, effects: [{ kind: 'update-image', before, after }, ...garbage, done, ...work] };
}
