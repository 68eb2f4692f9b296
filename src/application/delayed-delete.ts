/** Images whose deletion is delayed: their data goes when the time is up, and until then an administrator can have them back. */
import { asImageId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { type Caller, isAdmin } from '../domain/caller.js';
import { isUnread } from '../domain/digested-data.js';
import type { Image } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type HashingNode, hashEffects } from './find-location.js';
import { deletion } from './delete-image.js';
import { findImage, imageNotFound } from './find-image.js';
import { operationOf, wasApplied } from './operation.js';
import { writeDecided } from './write-decided.js';

/** Images that one look removes at most. */
const BATCH = 100;

/**
 * Makes an image active again whose data still awaits the scrubber. NOT_FOUND: to anyone but administrators, to whom it is
 * deleted as any other. STATE_CONFLICT: it is not deleted.
 */
export async function restoreImage(
  context: CatalogContext & HashingNode,
  caller: Caller,
  request: { readonly id: string; readonly requestId: string },
): Promise<Image> {
  const id = asImageId(request.id);
  if (id === undefined) throw imageNotFound(request.id);
  const operation = operationOf(context.ids, caller, request.requestId, `restore ${id}`);
  return writeDecided(context, { id, operation }, (reader) => {
    if (wasApplied(reader, operation)) return { result: findImage(reader, caller, id), effects: [] };
    const before = reader.image(id);
    if (before?.status !== 'pending_delete' || !isAdmin(caller)) {
      const { status } = findImage(reader, caller, id);
      throw new ServiceError('STATE_CONFLICT', `Only deleted images can be restored, image ${id} is ${status}.`);
    }
    authorize('restore_image', caller, before);
    const after: Image = {
      ...before,
      status: 'active',
      version: before.version + 1,
      updatedAtMs: context.clock.nowMs(),
    };
    // What was to be read when it was deleted is still to be read.
    const work = before.data.locations.some(isUnread) ? hashEffects(context, before, null) : [];
    return { result: after, effects: [{ kind: 'update-image', before, after }, ...work] };
  });
}

/**
 * Ends the images that were deleted so long ago, some of them: their records become tombstones and their objects garbage. Returns
 * how many. For the authority alone.
 */
export async function endDeletedImages(context: CatalogContext, keptMs: number): Promise<number> {
  const beforeMs = context.clock.nowMs() - keptMs;
  const due = await context.catalog.read((reader) => reader.pendingDeletes(beforeMs, BATCH));
  for (const id of due) await endDeletedImage(context, id, beforeMs);
  return due.length;
}

async function endDeletedImage(context: CatalogContext, id: ImageId, beforeMs: number): Promise<void> {
  const operation = { opId: context.ids.uuid(), subject: id, repeatable: false };
  await writeDecided(context, { id, operation }, (reader) => {
    const before = reader.image(id);
    // Restored since the list was read, and perhaps deleted again.
    if (before?.status !== 'pending_delete' || before.updatedAtMs >= beforeMs)
      return { result: undefined, effects: [] };
    // Members were told when it was deleted.
    return { result: undefined, effects: deletion(before, { deletedAtMs: context.clock.nowMs(), members: [] }) };
  });
}
