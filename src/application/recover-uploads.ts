import { failedWith } from '../base/service-error.js';
import type { DataContext } from './data-context.js';

/**
 * Gives up the uploads that this node was leased but receives no more (after a crash, or when giving up failed), so that
 * their images are queued again, and removes what is garbage. Run at start, before requests come, and now and then.
 */
export async function recoverUploads(
  context: DataContext,
): Promise<{ readonly aborted: number; readonly removed: number }> {
  const leases = await context.catalog.read((reader) => reader.uploadsOfNode(context.nodeId));
  let aborted = 0;
  for (const { uploadId, imageId } of leases) {
    if (context.uploads.has({ uploadId, imageId })) continue;
    try {
      await context.commands.abortUpload({ uploadId, imageId });
      aborted += 1;
    } catch (error) {
      // Committed or given up since the list was read.
      if (!failedWith(error, 'STATE_CONFLICT')) throw error;
    }
  }
  return { aborted, removed: await context.garbage.collect() };
}
