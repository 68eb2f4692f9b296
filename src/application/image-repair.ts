/** Repairs as the catalog's authority sees them: asked for, leased to a node, and ended without one. */
import { asImageId, type NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { damagedLocation } from '../domain/image-damage.js';
import { dataOf, type Image } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { AuthorityContext } from './catalog-context.js';
import { changeImage } from './change-image.js';
import type { Effect } from './ports/catalog.js';
import type { RepairEnd } from './ports/node-commands.js';
import { workAt } from './repair-effects.js';
import { beginLease, type BeginUpload, type Begun } from './upload-lease.js';
import { writeDecided } from './write-decided.js';

/**
 * Asks every node that has data of the image to look at it. FORBIDDEN: no administrator. STATE_CONFLICT: the image has no data.
 * Others: see changeImage.
 */
export async function askForRepair(
  context: AuthorityContext,
  caller: Caller,
  request: { readonly imageId: string; readonly requestId: string },
): Promise<Image> {
  const { imageId: id, requestId } = request;
  return changeImage(context, caller, { id, requestId, expectVersion: undefined, change: 'repair' }, (before) => {
    authorize('repair_image', caller, before);
    const locations = dataOf(before)?.locations;
    if (locations === undefined)
      throw new ServiceError('STATE_CONFLICT', `Image ${before.id} is ${before.status}: it has no data.`);
    const guard: Effect = { kind: 'require-image', id: before.id, version: before.version };
    return { image: before, effects: [guard, ...workAt(context.nodeId, before, locations)] };
  });
}

/**
 * Leases the copy that takes the place of a damaged location to the node whose it is. FORBIDDEN: the caller is no node.
 * STATE_CONFLICT: the location is there no more, or not damaged.
 */
export async function beginRepair(
  context: AuthorityContext,
  caller: Caller,
  request: BeginUpload & { readonly replaces: string },
): Promise<Begun> {
  checkNode(caller);
  return beginLease(context, caller, { ...request, change: 'copy' }, (before) => {
    damagedLocation(before, {
      ...{ id: request.replaces, storeId: request.storeId },
      isOwn: ({ nodeId }) => (nodeId ?? context.nodeId) === request.nodeId,
    });
    return { image: before, effects: [{ kind: 'require-image', id: before.id, version: before.version }] };
  });
}

/** Nodes act for themselves here, not for the callers that they forward. FORBIDDEN: the caller is no node. */
export function checkNode(caller: Caller): void {
  if (caller.kind !== 'node') throw new ServiceError('FORBIDDEN', 'Only nodes of this service may repair images.');
}

/** Takes the repair off the node's list, unless the image is another by now than the node has looked at. */
export async function endRepair(context: AuthorityContext, nodeId: NodeId, end: RepairEnd): Promise<void> {
  const id = asImageId(end.imageId);
  if (id === undefined) return;
  const operation = { opId: context.ids.uuid(), subject: id, repeatable: false };
  await writeDecided(context, { id, operation }, (reader) => {
    const version = reader.imageVersion(id) ?? 0;
    if (version !== end.imageVersion) return { result: undefined, effects: [] };
    const guard: readonly Effect[] = version === 0 ? [] : [{ kind: 'require-image', id, version }];
    const done: Effect = { kind: 'remove-work', work: { nodeId, kind: 'repair', imageId: id } };
    return { result: undefined, effects: [...guard, done] };
  });
}
