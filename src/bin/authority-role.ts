import { randomUUID } from 'node:crypto';
import type { Log } from '../application/log.js';
import { NodeRegistry } from '../application/node-registry.js';
import { ServiceError } from '../base/service-error.js';
import { adoptEmbeddedCatalog } from '../catalog/primary/adopt-embedded.js';
import { openPrimaryCatalog, type PrimaryCatalog } from '../catalog/primary/open-primary-catalog.js';
import { checkFolderRole } from '../catalog/upkeep/folder-role.js';
import { selfCaller } from '../cluster/membership.js';
import { HttpPeerObjects } from '../cluster/peer-objects.js';
import type { Config } from '../config/config.js';
import { type ClusterKey, readClusterKey } from '../identity/cluster-key.js';
import { signStatement } from '../identity/node-statement.js';
import { HeldPositions } from '../services/held-positions.js';
import { freshCatalog } from '../services/fresh-catalog.js';
import { AuthorityMethods } from '../services/authority-methods.js';
import { freshReading } from '../services/byte-stream-service.js';
import { CatalogFreshness } from '../services/catalog-freshness.js';
import { openSyncFront } from '../cluster/sync-front.js';
import { openFencing } from './authority-fencing.js';
import { advertisedHost, urlHost } from './advertised.js';
import { findNode } from './find-node.js';
import { NO_COPY, type NodeRole, type Self } from './node-role.js';
import { type ClusterTls, clusterTlsOf } from './tls-files.js';

const ANNOUNCE_EVERY_MS = 10_000;

/** What `oriel primary` has beside a node's configuration. */
export interface PrimaryOptions {
  /** 0: a free one. */
  readonly sqldPort: number;
  /** The catalog file of a single node that becomes the cluster's. */
  readonly adopt: string | undefined;
}

/** The authority of a cluster, with the process that serves its catalog. */
export interface AuthorityRole extends NodeRole {
  sqldPid(): number | undefined;
}

/** Starts sqld and takes the only way of writing to it. */
export async function openAuthorityRole(config: Config, primary: PrimaryOptions, self: Self): Promise<AuthorityRole> {
  const { nodeId, log } = self;
  const key = self.key();
  const clusterKey = clusterKeyOf(config);
  checkFolderRole(config.node.dataDir, 'primary', { adopts: primary.adopt !== undefined });
  if (primary.adopt !== undefined) adoptEmbeddedCatalog({ from: primary.adopt, dataDir: config.node.dataDir });
  const tls = clusterTlsOf(config);
  const opened = await openPrimaryCatalog({
    dataDir: config.node.dataDir,
    // With TLS the port is that of the way in, and sqld behind it takes a free one.
    sqldPort: tls === undefined ? primary.sqldPort : 0,
    log,
  });
  const { catalog } = opened;
  const { fence, epochs, tellFormer } = await openFencing(opened, { config, nodeId, clusterKey, log });
  const wayIn = await openWayIn(opened, { config, port: primary.sqldPort, tls, log });
  const clock = { nowMs: () => Date.now() };
  const registry = new NodeRegistry({ catalog, clock, ids: { uuid: () => randomUUID() } });
  const peers = new HttpPeerObjects({
    find: (wanted) => findNode(catalog, wanted),
    sign: () => signStatement(key.privateKey, nodeId, selfCaller(nodeId), clock.nowMs()),
    tls: tls?.texts,
  });
  const freshness = new CatalogFreshness(catalog, null);
  const held = config.catalog.durability === 'replica' ? new HeldPositions() : null;
  const holds = held === null ? null : async () => await held.until(catalog.status().position);
  const announce = async (): Promise<void> => {
    fence.check();
    await registry.announce(self.said(), await self.health(catalog));
  };
  let timer: NodeJS.Timeout | undefined;
  let stopTelling: () => void = () => undefined;
  return {
    catalog,
    ownsUnnamed: true,
    peers,
    statements: { keyOf: async (id) => (await findNode(catalog, id))?.publicKey, nowMs: clock.nowMs },
    commands: null,
    cluster: new AuthorityMethods({
      ...{ nodeId, registry, clock },
      proves: (id, publicKey, proof) => clusterKey.proves(id, publicKey, proof),
      ...{ fence, held, epochs },
      ...{ epoch: () => catalog.status().position.epoch, catalogId: () => catalog.catalogId() },
      syncUrl: wayIn.syncUrl,
      mintReadToken: (ttlMs) => opened.mintReadToken(Math.ceil(ttlMs / 1000)),
    }),
    services: (local) => ({
      catalog: freshCatalog(local, freshness, holds),
      reading: freshReading(freshness),
      ...NO_COPY,
    }),
    sqldPid: () => opened.sqldPid,
    async opened() {
      await registry.join(nodeId, key.publicKey);
      await announce();
      timer = setInterval(() => {
        announce().catch((error: unknown) => log.warn({ err: error }, 'the authority could not note itself'));
      }, ANNOUNCE_EVERY_MS);
      stopTelling = tellFormer();
    },
    async close() {
      clearInterval(timer);
      stopTelling();
      await wayIn.close();
      await peers.close();
      await opened.close();
    },
  };
}

/** INVALID_ARGUMENT: the configuration is none of an authority. */
function clusterKeyOf({ catalog }: Config): ClusterKey {
  if (catalog.primary !== null)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      'catalog.primary: this is to be the authority itself; leave the option out, or start an edge by "oriel serve"',
    );
  if (catalog.clusterKeyFile !== null) return readClusterKey(catalog.clusterKeyFile);
  throw new ServiceError(
    'INVALID_ARGUMENT',
    'catalog.cluster_key_file: the authority needs the key that nodes join with; "oriel cluster init" makes one',
  );
}

/** Where edges copy the catalog from: sqld itself on the loopback, or TLS in front of it. The catalog is closed when it fails. */
async function openWayIn(
  opened: PrimaryCatalog,
  facts: { readonly config: Config; readonly port: number; readonly tls: ClusterTls | undefined; readonly log: Log },
): Promise<{ readonly syncUrl: string; close(): Promise<void> }> {
  const { config, port, tls, log } = facts;
  const { syncPort: sqldPort } = opened;
  if (tls === undefined) return { syncUrl: `http://127.0.0.1:${sqldPort}`, close: () => Promise.resolve() };
  try {
    const front = await openSyncFront({ host: config.node.grpc.host, port, tls: tls.texts, sqldPort, log });
    const syncUrl = `https://${urlHost(advertisedHost(config.node))}:${front.port}`;
    return { syncUrl, close: () => front.close() };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
