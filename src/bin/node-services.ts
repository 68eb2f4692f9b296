import { randomUUID } from 'node:crypto';
import type { DataContext } from '../application/data-context.js';
import { garbageOf } from '../application/delete-image.js';
import { GarbageCollector } from '../application/garbage-collector.js';
import { ImageTurns } from '../application/image-turns.js';
import type { Log } from '../application/log.js';
import type { Catalog } from '../application/ports/catalog.js';
import { recoverUploads } from '../application/recover-uploads.js';
import { RunningUploads } from '../application/running-uploads.js';
import { ServiceError } from '../base/service-error.js';
import type { Config } from '../config/config.js';
import { NO_PROTECTION } from '../domain/property-protection.js';
import type { Image } from '../domain/image.js';
import type { PartStatus } from '../gen/oriel/node/v1/node_service.js';
import { createAuthenticator } from '../identity/authenticator.js';
import { ByteStreamService } from '../services/byte-stream-service.js';
import { CatalogService } from '../services/catalog-service.js';
import { DataService } from '../services/data-service.js';
import { ImageView } from '../services/image-view.js';
import { NodeService } from '../services/node-service.js';
import { CallerResolver } from '../services/service-context.js';
import { createDigester } from '../workers/digest/digester.js';
import { limitsOf, serviceInfoOf } from './service-info.js';
import { nodeIdOf } from './node-identity.js';
import { openStores } from './node-stores.js';
import { packageVersion } from './package-version.js';

/** The services of one node, without the doors to them. */
export interface NodeServices {
  readonly catalog: CatalogService;
  readonly data: DataService;
  readonly node: NodeService;
  readonly bytes: ByteStreamService;
  readonly callers: CallerResolver;
  readonly runningUploads: RunningUploads;
  /** The state of each part. */
  parts(): Promise<readonly PartStatus[]>;
  /** Gives up lost uploads and removes garbage. */
  recover(): Promise<void>;
  /** Closes everything; call after the doors are closed. */
  close(): Promise<void>;
}

const clock = { nowMs: () => Date.now() };
const ids = { uuid: () => randomUUID() };

/** Anyone may ask for the state of the parts, which costs writes to disk: an answer serves all who ask within so long. */
const PARTS_AGE_MS = 2000;

/** Opens stores and threads of a node, clears what an earlier run left in its catalog, and makes its services. */
export async function createNodeServices(config: Config, opening: Promise<Catalog>, log: Log): Promise<NodeServices> {
  const startedAtMs = clock.nowMs();
  const authenticator = await createAuthenticator(config.auth, { clock, log });
  const [catalog, stores] = await Promise.all([opening, openStores(config)]);
  const digester = createDigester();
  const uploads = new RunningUploads();
  const rules = { limits: limitsOf(config), ...config.images };
  const context: DataContext = {
    ...{ catalog, clock, ids, rules, stores, digester, uploads, log },
    protection: NO_PROTECTION,
    turns: new ImageTurns(),
    nodeId: nodeIdOf(config.node.dataDir),
    garbage: new GarbageCollector({ catalog, ids, stores, log }),
    hashingAlgorithm: config.images.hashingAlgorithm,
    formatMatch: config.images.formatMatch,
  };
  // A node whose catalog cannot be written (a full disk) still serves reads; the leases are tried again later.
  await recover(context).catch((error: unknown) => log.warn({ err: error }, 'recovery failed, will be tried again'));

  const view = new ImageView({
    protection: context.protection,
    showLocations: config.images.showMultipleLocations,
    showDirectUrl: config.images.showDirectUrl,
    showStores: stores.all.length > 1,
    url: ({ storeId, key }) => stores.get(storeId)?.url(key) ?? '',
  });
  const catalogService = new CatalogService(context, view, (image) => clearAfterDeletion(context, image));
  const bytes = new ByteStreamService(context, view, catalogService);
  const parts = sharedFor(PARTS_AGE_MS, () => partsOf(context));
  return {
    catalog: catalogService,
    data: new DataService(bytes),
    node: new NodeService({
      ...{ nodeId: context.nodeId, site: config.node.site, version: packageVersion(), startedAtMs, parts },
      info: serviceInfoOf(config, stores),
    }),
    ...{ bytes, parts, runningUploads: uploads, callers: new CallerResolver(authenticator) },
    recover: () => recover(context),
    async close() {
      await authenticator.close();
      await digester.close();
      await catalog.close();
    },
  };
}

async function recover(context: DataContext): Promise<void> {
  const { aborted, removed } = await recoverUploads(context);
  if (aborted + removed > 0) context.log.info({ aborted, removed }, 'gave up lost uploads and removed unused objects');
}

// The bytes that are still arriving are of no use. Whoever deletes an image may count on its room once the call returns;
// when a store refuses, the image is gone all the same and the object is tried again later.
async function clearAfterDeletion(context: DataContext, image: Image): Promise<void> {
  const gone = `Image ${image.id} was deleted while its data was being uploaded.`;
  context.uploads.stop(image.id, new ServiceError('IMAGE_GONE', gone));
  try {
    await context.garbage.remove(garbageOf(image));
  } catch (error) {
    context.log.warn({ err: error }, 'unused objects not removed, will be tried again');
  }
}

function sharedFor<T>(ageMs: number, ask: () => Promise<T>): () => Promise<T> {
  let shared: { readonly answer: Promise<T>; readonly untilMs: number } | undefined;
  return () => {
    if (shared === undefined || shared.untilMs < clock.nowMs())
      shared = { answer: ask(), untilMs: clock.nowMs() + ageMs };
    return shared.answer;
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
