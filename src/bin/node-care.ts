import { BackgroundWork, type ListWork } from '../application/background-work.js';
import type { DamageReports } from '../application/damage-reports.js';
import type { DataContext } from '../application/data-context.js';
import { endDeletedImages } from '../application/delayed-delete.js';
import { hashData } from '../application/hash-data.js';
import { ReadFailures } from '../application/read-failures.js';
import { repairImage } from '../application/repair-image.js';
import { Scrubber, type ScrubProgress } from '../application/scrubber.js';
import { takeHashing } from '../application/take-hashing.js';
import type { ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { selfCaller } from '../cluster/membership.js';
import type { Config } from '../config/config.js';
import type { ServiceContext } from '../services/service-context.js';
import { type UploadMethods, uploadCommands } from '../services/upload-commands.js';
import { scrubStateFile } from './scrub-file.js';
import { systemTimer } from './system-timer.js';

/** Deleted images are looked for so often at least, and not more often. */
const LOOK_SELDOM_MS = 60_000;
const LOOK_OFTEN_MS = 1000;

/** What a node does for what it keeps, with nobody waiting for it. */
export interface NodeCare {
  start(): void;
  /** Ends what is done to an image that is gone. */
  stop(imageId: ImageId): void;
  figures(): CareFigures;
  close(): Promise<void>;
}

export interface CareFigures extends ScrubProgress {
  /** Locations that were marked as damaged, and those that were repaired, since the start. */
  readonly damaged: number;
  readonly repaired: number;
}

interface CareParts {
  readonly config: Config;
  readonly context: DataContext & { readonly damage: DamageReports };
  /** The catalog as the doors serve it. */
  readonly catalog: UploadMethods;
  /** The node decides over the catalog: it ends images whose deletion was delayed. */
  readonly isAuthority: boolean;
}

export function createNodeCare({ config, context, catalog, isAuthority }: CareParts): NodeCare {
  const { nodeId, log, damage } = context;
  const readFailures = new ReadFailures();
  let repaired = 0;
  const commands = uploadCommands(catalog, nodeId, selfContext(context));
  const repairing = { ...context, uploadCommands: commands, repaired: () => void (repaired += 1) };
  const work = new BackgroundWork(
    {
      ...{ list: listWork(context, isAuthority), timer: systemTimer, log },
    },
    {
      // Locations are found, and changed, where the catalog is written.
      hash: (imageId, signal) =>
        isAuthority ? hashData(context, imageId, signal, readFailures) : Promise.reject(notHere()),
      repair: (imageId, signal, failures) => repairImage(repairing, imageId, signal, failures),
    },
  );
  const state = scrubStateFile(config.node.dataDir);
  const scrubber = new Scrubber({ ...context, state }, config.scrub);
  const unsubscribe = context.catalog.onAdvance(() => work.wake());
  const ending = isAuthority ? endingDeleted(context, config.images.scrubTimeMs) : undefined;
  return {
    start() {
      work.wake();
      scrubber.start();
      ending?.start();
    },
    stop: (imageId) => work.stop(imageId),
    figures: () => ({ ...scrubber.progress(), damaged: damage.marked, repaired }),
    async close() {
      unsubscribe();
      await Promise.all([work.close(), scrubber.close(), ending?.close(), damage.close()]);
    },
  };
}

/** Lists the work of the node; at the authority, once, with what another node was to do when it was that. */
function listWork(context: DataContext, isAuthority: boolean): ListWork {
  const { nodeId, catalog, log } = context;
  let hasTaken = !isAuthority;
  return async (after, limit) => {
    if (!hasTaken) {
      const taken = await takeHashing(context);
      hasTaken = true;
      if (taken > 0) log.info({ taken }, 'took over data to be read for its digests');
    }
    return catalog.read((reader) => reader.work(nodeId, after, limit));
  };
}

function notHere(): ServiceError {
  return new ServiceError('STATE_CONFLICT', 'this node does no such work: it was the authority once');
}

/** Ends images whose deletion was delayed when their time is up. */
function endingDeleted(context: DataContext, keptMs: number): { start(): void; close(): Promise<void> } {
  const everyMs = Math.min(LOOK_SELDOM_MS, Math.max(LOOK_OFTEN_MS, keptMs / 2));
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const look = async (): Promise<void> => {
    try {
      while (!closed && (await endDeletedImages(context, keptMs)) > 0) await context.garbage.collect();
    } catch (error) {
      context.log.warn({ err: error }, 'deleted images not ended, will be tried again');
    }
    next();
  };
  const next = (): void => {
    if (closed) return;
    timer = setTimeout(() => {
      running = look();
    }, everyMs);
  };
  return {
    start: next,
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Calls of the node in its own name. */
function selfContext({ nodeId }: DataContext): ServiceContext {
  return {
    signal: new AbortController().signal,
    caller: () => Promise.resolve(selfCaller(nodeId)),
    trace: { requestId: undefined, traceparent: undefined },
    minPosition: undefined,
    answeredAt: () => undefined,
  };
}
