/**
 * What a node does for its data of an image when it is asked to: what is marked as damaged is made anew from wherever good data
 * lies, under the lease of a copy, and one change of the catalog puts the new object in the place of the old one. When nothing is
 * marked, somebody suspects something, and all of it is looked at.
 */
import type { ImageId } from '../base/brand.js';
import { failedWith } from '../base/service-error.js';
import type { Image, ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import type { DamageReports } from './damage-reports.js';
import type { DataContext } from './data-context.js';
import { examineLocation } from './examine-location.js';
import { orderOf } from './open-download.js';
import { isOwn } from './own-objects.js';
import type { ImageStore } from './ports/image-store.js';
import type { UploadCommands } from './ports/upload-commands.js';
import { readLocations } from './read-locations.js';
import { storeLeased } from './upload-image.js';

export interface RepairContext extends DataContext {
  readonly damage: DamageReports;
  /** Sends the commands of a copy in the node's own name. */
  readonly uploadCommands: UploadCommands<unknown>;
  /** Called for each location that was repaired. */
  repaired(): void;
}

/** Ends when there is no more to be done now; what it throws is worth another try later. */
export async function repairImage(context: RepairContext, imageId: ImageId, signal: AbortSignal): Promise<void> {
  const marked = await lookAtImage(context, imageId, signal);
  if (marked === undefined) return;
  const version = await context.catalog.read((reader) => reader.imageVersion(imageId));
  // A copy of the catalog may not show the marks yet: the work is still listed, and comes again.
  if (version !== marked) await lookAtImage(context, imageId, signal);
}

/** Repairs what is marked, or marks what is damaged. Returns the version of the image that was looked at when it marked any. */
async function lookAtImage(context: RepairContext, imageId: ImageId, signal: AbortSignal): Promise<number | undefined> {
  const image = await context.catalog.read((reader) => reader.image(imageId));
  if (image === undefined || !('data' in image) || image.status === 'pending_delete') {
    await context.commands.endRepair({ imageId, imageVersion: image?.version ?? 0 });
    return undefined;
  }
  const { data } = image;
  const own = data.locations.filter((location) => isOwn(context, location));
  // What the service did not make is not its to replace.
  const first = own.find(({ damage, created }) => damage !== undefined && created);
  if (first !== undefined) {
    await repairLocation(context, { image, data, location: first }, signal);
    return undefined;
  }
  let damaged = false;
  for (const location of own.filter((known) => known.damage === undefined)) {
    const found = await examineLocation(context, { data, location }, { signal, pace: async () => {}, whole: true });
    damaged ||= found !== undefined;
    if (found !== undefined) await context.damage.tell({ imageId, location, sizeBytes: data.sizeBytes }, found);
  }
  if (damaged) return image.version;
  await context.commands.endRepair({ imageId, imageVersion: image.version });
  return undefined;
}

interface Damaged {
  readonly image: Image;
  readonly data: ImageData;
  readonly location: Location;
}

async function repairLocation(context: RepairContext, damaged: Damaged, signal: AbortSignal): Promise<void> {
  const { image, location } = damaged;
  const store = context.stores.get(location.storeId);
  const fields = { imageId: image.id, location: location.id, store: location.storeId };
  try {
    if (store !== undefined) {
      await copyInto(context, damaged, store, signal);
      context.repaired();
      context.log.info(fields, 'location repaired');
      await context.garbage.collect();
      return;
    }
  } catch (error) {
    if (!isVain(error)) throw error;
    context.log.error({ err: error, ...fields }, 'location not repaired: there is no good copy of its data');
  }
  // A copy that appears asks for it again, and so does the next pass of the scrubber.
  await context.commands.endRepair({ imageId: image.id, imageVersion: image.version });
}

/** The data may be put together from several places, each of which has some of it whole: every unit is checked. */
async function copyInto(
  context: RepairContext,
  { image, data, location }: Damaged,
  store: ImageStore,
  signal: AbortSignal,
): Promise<void> {
  const order = orderOf(context, data, { prefer: [], sites: new Map() });
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const range = { offsetBytes: 0, lengthBytes: data.sizeBytes };
  try {
    const chunks = await readLocations(context, order, { image, data, range, signal: either });
    const size = { declaredSizeBytes: data.sizeBytes, isChecked: data.fileMap !== null };
    const copy = { imageId: image.id, ...size, store, copy: true, replaces: location.id };
    await storeLeased(context, copy, context.uploadCommands, chunks, signal);
  } finally {
    // A source that was opened and never pulled.
    stop.abort();
  }
}

// UPSTREAM_FAILED: no location has the data; those that do not answer are UNAVAILABLE and tried again.
function isVain(error: unknown): boolean {
  return failedWith(error, 'DATA_CORRUPT') || failedWith(error, 'UPSTREAM_FAILED');
}
