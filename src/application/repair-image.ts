/**
 * What a node does for its data of an image when it is asked to: what is marked as damaged is made anew from wherever good data
 * lies, under the lease of a copy, and one change of the catalog puts the new object in the place of the old one. When nothing is
 * marked, somebody suspects something, and all of it is looked at.
 */
import type { ImageId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import type { Image, ImageData } from '../domain/image.js';
import type { Damage, Finding, Location } from '../domain/location.js';
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

/**
 * So often a marked location is looked at that the service cannot replace: with the pauses of background work some minutes, or a
 * day, of which the longer looks cost nothing. Later passes of the scrubber look, too.
 */
const LOOKS: Readonly<Record<Damage, number>> = { damaged: 5, missing: 30 };

/** Ends when there is no more to be done now; what it throws is worth another try later. */
export async function repairImage(
  context: RepairContext,
  imageId: ImageId,
  signal: AbortSignal,
  failures: number,
): Promise<void> {
  const look = { signal, failures };
  const seen = await lookAtImage(context, imageId, look);
  if (seen === undefined) return;
  const version = await context.catalog.read((reader) => reader.imageVersion(imageId));
  // A copy of the catalog may not show the marks yet: the work is still listed, and comes again.
  if (version !== seen) await lookAtImage(context, imageId, look);
}

interface Look {
  readonly signal: AbortSignal;
  /** How often the looks before failed. */
  readonly failures: number;
}

/**
 * Repairs what is marked, or marks what is damaged, and takes marks from what is whole again. Returns the version of the image that was
 * looked at when marks were changed. UNAVAILABLE: what the service cannot replace may yet come back.
 */
async function lookAtImage(context: RepairContext, imageId: ImageId, look: Look): Promise<number | undefined> {
  const image = await context.catalog.read((reader) => reader.image(imageId));
  if (image === undefined || !('data' in image) || image.status === 'pending_delete') {
    await context.commands.endRepair({ imageId, imageVersion: image?.version ?? 0 });
    return undefined;
  }
  const { data } = image;
  const own = data.locations.filter((location) => isOwn(context, location));
  // What the service did not make is not its to replace, and may be at a server that does not answer.
  const isReplaced = (location: Location): boolean => location.created && isMarked(location);
  const made = await examineAll(context, image, data, { locations: own.filter(isReplaced), signal: look.signal });
  const first = made.find(({ found }) => found !== 'whole');
  if (first !== undefined) {
    await repairLocation(context, { image, data, location: first.location }, look.signal);
    return undefined;
  }
  const rest = own.filter((location) => !isReplaced(location));
  const others = await examineAll(context, image, data, { locations: rest, signal: look.signal });
  if ([...made, ...others].some(({ isNew }) => isNew)) return image.version;
  if (others.some(({ found }) => found !== undefined && found !== 'whole' && look.failures < LOOKS[found]))
    throw new ServiceError('UNAVAILABLE', `Image ${imageId} has a damaged location that may be whole again later.`);
  await context.commands.endRepair({ imageId, imageVersion: image.version });
  return undefined;
}

function isMarked({ damage }: Location): boolean {
  return damage !== undefined;
}

interface Examined {
  readonly location: Location;
  readonly found: Finding | undefined;
  /** It is not what the catalog says. */
  readonly isNew: boolean;
}

/** Looks at the locations one after the other, and tells what is not as the catalog says. */
async function examineAll(
  context: RepairContext,
  { id: imageId }: Image,
  data: ImageData,
  { locations, signal }: { readonly locations: readonly Location[]; readonly signal: AbortSignal },
): Promise<readonly Examined[]> {
  const examined: Examined[] = [];
  for (const location of locations) {
    const found = await examineLocation(context, { data, location }, { signal, pace: async () => {}, whole: true });
    const isNew = found !== undefined && found !== (location.damage ?? 'whole');
    if (isNew) await context.damage.tell({ imageId, location, data }, found);
    examined.push({ location, found, isNew });
  }
  return examined;
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
