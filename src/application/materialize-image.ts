import { failedWith, ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { authorize } from '../domain/policy.js';
import { fillPartRaw } from './convert-part.js';
import type { DataContext } from './data-context.js';
import { fillPart, type Filled } from './fill-part.js';
import { findImage } from './find-image.js';
import { findReadable, type ReadableData } from './open-download.js';
import type { TargetFile, TargetFiles, TargetPlace } from './ports/target-files.js';
import type { RunControl, SharedRuns } from './shared-runs.js';

export interface MaterializeContext {
  readonly data: DataContext;
  readonly targets: TargetFiles;
  readonly runs: SharedRuns<Materialized>;
}

export interface MaterializeOptions {
  readonly raw: boolean;
  readonly overwrite: boolean;
  /** The file may be the stored object itself. */
  readonly hardLink: boolean;
  readonly flush: boolean;
}

export interface Materialized extends Filled {
  readonly path: string;
}

/** Finds the data that is to be put into a file. FORBIDDEN: neither host nor administrator. Others as findReadable. */
export async function findForFile(
  context: DataContext,
  caller: Caller,
  request: { readonly imageId: string; readonly prefer: readonly string[] },
): Promise<ReadableData | undefined> {
  await context.catalog.read((reader) =>
    authorize('materialize_image', caller, findImage(reader, caller, request.imageId)),
  );
  return findReadable(context, caller, request);
}

/**
 * Puts the data into a file: a partial file beside it is filled, verified, and given the name in one step. Calls for the same file
 * share the work. STATE_CONFLICT: there is no data, or another image is on its way into the file. Others as TargetFiles, fillPart and
 * fillPartRaw.
 */
export async function materializeImage(
  context: MaterializeContext,
  request: { readonly imageId: string; readonly source: ReadableData | undefined; readonly place: TargetPlace },
  options: MaterializeOptions,
  control: RunControl,
): Promise<Materialized> {
  const { imageId, source, place } = request;
  if (source === undefined) throw new ServiceError('STATE_CONFLICT', `Image ${imageId} has no data yet.`);
  const target = await context.targets.open(place);
  try {
    // Nova keeps time by its files, and hypervisors take them over: neither may reach the stored object.
    const chosen = { ...options, hardLink: options.hardLink && place.kind === 'path' };
    const kind = JSON.stringify([imageId, source.data.fileMap?.sha256, chosen]);
    return await context.runs.join(target.id, kind, control, (shared) =>
      // The first who comes may leave before the others do.
      withTarget(context.targets, place, (held) => run(context.data, { source, target: held }, chosen, shared)),
    );
  } finally {
    await target.close();
  }
}

async function withTarget<T>(
  targets: TargetFiles,
  place: TargetPlace,
  use: (target: TargetFile) => Promise<T>,
): Promise<T> {
  const target = await targets.open(place);
  try {
    return await use(target);
  } finally {
    await target.close();
  }
}

async function run(
  context: DataContext,
  { source, target }: { readonly source: ReadableData; readonly target: TargetFile },
  options: MaterializeOptions,
  control: RunControl,
): Promise<Materialized> {
  await target.checkFree(options);
  const filling = { source, target, options, control };
  const diskBytesMax = context.rules.limits.imageSizeCapBytes;
  try {
    const filled = await (options.raw
      ? fillPartRaw({ ...context, diskBytesMax }, filling)
      : fillPart(context, filling));
    control.signal.throwIfAborted();
    await target.publish(options);
    return { ...filled, path: target.path };
  } catch (error) {
    // A full disk must get its room back, and what was refused for what it is will be refused again.
    if (failedWith(error, 'LIMIT_EXCEEDED') || failedWith(error, 'UNSUPPORTED_MEDIA')) await target.removePart();
    throw error;
  }
}
