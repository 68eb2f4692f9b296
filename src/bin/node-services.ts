import { randomUUID } from 'node:crypto';
import { CachedReads } from '../application/cached-reads.js';
import { DamageReports } from '../application/damage-reports.js';
import type { DataContext } from '../application/data-context.js';
import { EventFeed } from '../application/event-feed.js';
import { FailedLocations } from '../application/failed-locations.js';
import { FileMaps } from '../application/file-maps.js';
import { VerifiedUnits } from '../application/verified-units.js';
import { forgetGarbage } from '../application/forget-garbage.js';
import { GarbageCollector } from '../application/garbage-collector.js';
import { ImageTurns } from '../application/image-turns.js';
import type { Log } from '../application/log.js';
import type { MaterializeContext } from '../application/materialize-image.js';
import { isHere } from '../application/object-reads.js';
import type { Garbage } from '../application/ports/catalog.js';
import type { Digester } from '../application/ports/digester.js';
import type { ImageCache } from '../application/ports/image-cache.js';
import type { NodeCommands } from '../application/ports/node-commands.js';
import type { UnitCopier } from '../application/ports/unit-copier.js';
import { endRepair } from '../application/image-repair.js';
import { recoverUploads } from '../application/recover-uploads.js';
import { reportLocation } from '../application/report-location.js';
import { RunningUploads } from '../application/running-uploads.js';
import { SharedRuns } from '../application/shared-runs.js';
import { SourceLatency } from '../application/source-latency.js';
import type { StoreRegistry } from '../application/store-registry.js';
import { abortUpload } from '../application/upload-lease.js';
import { asImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Config } from '../config/config.js';
import { NO_PROTECTION } from '../domain/property-protection.js';
import type { Location } from '../domain/location.js';
import type { PartStatus, ScrubStatus } from '../gen/oriel/node/v1/node_service.js';
import { createAuthenticator } from '../identity/authenticator.js';
import { ByteStreamService } from '../services/byte-stream-service.js';
import { CacheMethods } from '../services/cache-methods.js';
import { type CatalogMethods, CatalogService } from '../services/catalog-service.js';
import { DataService } from '../services/data-service.js';
import { ImageFileService } from '../services/image-file-service.js';
import { ImageView } from '../services/image-view.js';
import { NodeService } from '../services/node-service.js';
import { CallerResolver } from '../services/service-context.js';
import { createTargetFiles } from '../targets/target-files.js';
import { unitDigest } from '../workers/digest/unit-digest.js';
import { createUnitCopier } from '../workers/copy/unit-copier.js';
import { createDigester } from '../workers/digest/digester.js';
import { limitsOf, serviceInfoOf, storeDetailsOf } from './service-info.js';
import { type CareFigures, createNodeCare, type NodeCare } from './node-care.js';
import type { NodeRole, OpenRole, Self } from './node-role.js';
import { type Addresses, selfOf } from './node-self.js';
import { type CacheFigures, nodeCacheOf, openCache } from './node-cache-parts.js';
import { openStores } from './node-stores.js';
import { packageVersion } from './package-version.js';
import { systemTimer } from './system-timer.js';

/** The services of one node, without the doors to them. */
export interface NodeServices {
  readonly catalog: CatalogMethods;
  readonly data: DataService;
  readonly node: NodeService;
  readonly bytes: ByteStreamService;
  readonly callers: CallerResolver;
  readonly runningUploads: RunningUploads;
  /** null: the node has no cache. */
  readonly cacheFigures: CacheFigures | null;
  /** What the node does for what it keeps. */
  care(): CareFigures;
  /** The state of each part. */
  parts(): Promise<readonly PartStatus[]>;
  /** Says that the doors are open, and where. */
  opened(addresses: Addresses): Promise<void>;
  /** Gives up lost uploads and removes garbage. */
  recover(): Promise<void>;
  /** Ends the streams of events, which would keep the doors from closing. */
  endStreams(): void;
  /** Closes everything; call after the doors are closed. */
  close(): Promise<void>;
}

const clock = { nowMs: () => Date.now() };
const ids = { uuid: () => randomUUID() };

/** Anyone may ask for the state of the parts, which costs writes to disk: an answer serves all who ask within so long. */
const PARTS_AGE_MS = 2000;

/** Opens stores, catalog and threads of a node, clears what an earlier run left, and makes its services. */
export async function createNodeServices(config: Config, log: Log, openRole: OpenRole): Promise<NodeServices> {
  const startedAtMs = clock.nowMs();
  const stores = await openStores(config, log);
  const cache = await openCache(config, log);
  const uploads = new RunningUploads();
  const { self, open } = selfOf(config, { stores, uploads, log });
  const role = await openRole(self);
  const authenticator = await createAuthenticator(config.auth, { clock, log, statements: role.statements });
  const digester = createDigester();
  const copier = createUnitCopier();
  const context = contextOf(config, { role, self, stores, cache, uploads, digester, log });
  // A node whose catalog cannot be written (a full disk, no authority) still serves reads; the leases are tried again later.
  // One that has no copy of the catalog yet recovers when it comes.
  if (role.catalog.status().ok) await recoverOrWarn(context);

  const view = new ImageView({
    protection: context.protection,
    showLocations: config.images.showMultipleLocations,
    showDirectUrl: config.images.showDirectUrl,
    showStores: stores.all.length > 1,
    url: (location) => urlOf(context, location),
    directUrl: (location) => directUrlOf(context, location),
  });
  // The care needs the catalog's service, which stops it.
  const made: { care?: NodeCare } = {};
  const stop = (imageId: string): void => stopWork(context, made.care, imageId);
  const local = new CatalogService(context, view, {
    stopUpload: (image) => stop(image.id),
    clear: (garbage) => clearNow(context, garbage),
  });
  const { catalog, reading, checkAge, refresh } = role.services(local, {
    stopUpload: stop,
    advanced: onceThen(
      () => void recoverOrWarn(context),
      () => clearLater(context),
    ),
  });
  const nodeCache = nodeCacheOf(context, cache);
  const careful = createNodeCare({ config, context, catalog, isAuthority: role.commands === null });
  made.care = careful;
  const bytes = new ByteStreamService(context, view, catalog, reading);
  const feed = new EventFeed({ catalog: role.catalog, clock, timer: systemTimer, checkAge, refresh });
  const parts = sharedFor(PARTS_AGE_MS, () => partsOf(context));
  return {
    catalog,
    data: new DataService(bytes, new ImageFileService(filesOf(config, context, copier), reading)),
    node: new NodeService({
      ...{ nodeId: self.nodeId, site: config.node.site, version: packageVersion(), startedAtMs, parts },
      info: serviceInfoOf(config, stores),
      stores: storeDetailsOf(stores),
      cluster: role.cluster,
      feed,
      cache: new CacheMethods(nodeCache, catalog),
      scrub: () => scrubMessage(careful.figures()),
    }),
    care: () => careful.figures(),
    ...{ bytes, parts, runningUploads: uploads, callers: new CallerResolver(authenticator) },
    cacheFigures: context.cached === null || cache === null ? null : { counts: context.cached.counts, cache },
    recover: () => recover(context),
    endStreams: () => feed.close(),
    async opened(addresses) {
      open(addresses);
      await role.opened();
      careful.start();
    },
    async close() {
      await careful.close();
      await nodeCache?.close();
      await authenticator.close();
      await Promise.all([digester.close(), copier.close()]);
      await role.close();
    },
  };
}

interface ContextParts {
  readonly role: NodeRole;
  readonly self: Self;
  readonly stores: StoreRegistry;
  readonly cache: ImageCache | null;
  readonly uploads: RunningUploads;
  readonly digester: Digester;
  readonly log: Log;
}

function contextOf(config: Config, parts: ContextParts): DataContext & { readonly damage: DamageReports } {
  const { role, self, stores, cache, uploads, digester, log } = parts;
  const { catalog, ownsUnnamed, peers } = role;
  const { nodeId } = self;
  const use = { catalog, clock, ids, rules: { limits: limitsOf(config), ...config.images } };
  const ground = { ...use, protection: NO_PROTECTION, turns: new ImageTurns() };
  const commands: NodeCommands = role.commands ?? {
    abortUpload: (lease) => abortUpload(ground, { ...lease, nodeId }),
    forgetGarbage: (rows) => forgetGarbage(ground, rows),
    reportLocation: (report) => reportLocation({ ...ground, nodeId }, nodeId, report),
    endRepair: (end) => endRepair({ ...ground, nodeId }, nodeId, end),
  };
  const failed = new FailedLocations(clock);
  const readable = { nodeId, ownsUnnamed, peers, stores, storeIdleMs: config.node.stallLimitMs, timer: systemTimer };
  const kept = cache === null ? {} : { keptMap: (sha256: string) => cache.map(sha256) };
  const maps = new FileMaps({ ...readable, failed, log, ...kept });
  const latency = new SourceLatency(clock);
  const damage = new DamageReports({ ...readable, maps, unitDigest, commands, log });
  const reading = { ...readable, failed, damage, latency, maps, verified: new VerifiedUnits(), log, unitDigest };
  return {
    ...ground,
    ...reading,
    cached: cache === null ? null : new CachedReads(reading, cache),
    ...{ site: config.node.site, locationStrategy: config.node.locationStrategy, digester, uploads, commands },
    garbage: new GarbageCollector({ catalog, nodeId, ownsUnnamed, stores, commands, log }),
    hashingAlgorithm: config.images.hashingAlgorithm,
    formatMatch: config.images.formatMatch,
    secureHash: config.images.doSecureHash,
    hashAttempts: config.images.httpRetries,
  };
}

function filesOf(config: Config, data: DataContext, copier: UnitCopier): MaterializeContext {
  return { data, targets: createTargetFiles(config.materialize.roots, copier), runs: new SharedRuns() };
}

function recoverOrWarn(context: DataContext): Promise<void> {
  return recover(context).catch((error: unknown) => {
    context.log.warn({ err: error }, 'recovery failed, will be tried again');
  });
}

/** Does the first thing the first time, and then always the other. */
function onceThen(first: () => void, then: () => void): () => void {
  let next = first;
  return () => {
    const now = next;
    next = then;
    now();
  };
}

async function recover(context: DataContext): Promise<void> {
  const { aborted, removed } = await recoverUploads(context);
  if (aborted + removed > 0) context.log.info({ aborted, removed }, 'gave up lost uploads and removed unused objects');
}

// Whoever deletes an image may count on its room once the call returns; when a store refuses, the image is gone all the same
// and the object is tried again later.
async function clearNow({ garbage, log }: DataContext, rows: readonly Garbage[]): Promise<void> {
  if (rows.length === 0) return;
  try {
    await garbage.remove(rows);
  } catch (error) {
    log.warn({ err: error }, 'unused objects not removed, will be tried again');
  }
}

// The path of an object on another node means nothing here; a service's address is the same everywhere.
function urlOf(context: DataContext, location: Location): string {
  const { nodeId, storeId, key } = location;
  const store = isHere(context, location) ? context.stores.get(storeId) : undefined;
  return store?.url(key) ?? `oriel://${nodeId ?? 'authority'}/${storeId}/${key}`;
}

function directUrlOf(context: DataContext, location: Location): string | undefined {
  const store = isHere(context, location) ? context.stores.get(location.storeId) : undefined;
  return store?.directUrl?.(location.key, clock.nowMs());
}

function stopWork({ uploads }: DataContext, care: NodeCare | undefined, imageIdText: string): void {
  const imageId = asImageId(imageIdText);
  if (imageId === undefined) return;
  const gone = `Image ${imageId} was deleted while its data was being uploaded.`;
  uploads.stop(imageId, new ServiceError('IMAGE_GONE', gone));
  care?.stop(imageId);
}

function clearLater({ garbage, log }: DataContext): void {
  garbage
    .collect()
    .catch((error: unknown) => log.warn({ err: error }, 'unused objects not removed, will be tried again'));
}

function sharedFor<T>(ageMs: number, ask: () => Promise<T>): () => Promise<T> {
  let shared: { readonly answer: Promise<T>; readonly untilMs: number } | undefined;
  return () => {
    if (shared === undefined || shared.untilMs < clock.nowMs())
      shared = { answer: ask(), untilMs: clock.nowMs() + ageMs };
    return shared.answer;
  };
}

function scrubMessage(figures: CareFigures): ScrubStatus {
  const { passStartedAtMs, passEndedAtMs, objects, bytes, damaged, repaired, orphans } = figures;
  return {
    passStartedAt: passStartedAtMs === null ? undefined : new Date(passStartedAtMs),
    passEndedAt: passEndedAtMs === null ? undefined : new Date(passEndedAtMs),
    ...{ objects: BigInt(objects), bytes: BigInt(bytes), damaged: BigInt(damaged) },
    ...{ repaired: BigInt(repaired), orphans: BigInt(orphans) },
  };
}

async function partsOf({ catalog, stores }: DataContext): Promise<readonly PartStatus[]> {
  const { ok, message } = catalog.status();
  const checks = stores.all.map(async ({ store }): Promise<PartStatus> => {
    const name = `store ${store.id}`;
    try {
      await store.check();
      return { name, ok: true, message: '' };
    } catch (error) {
      return { name, ok: false, message: error instanceof Error ? error.message : String(error) };
    }
  });
  return [{ name: 'catalog', ok, message }, ...(await Promise.all(checks))];
}
