import { randomUUID } from 'node:crypto';
import { NodeRegistry } from '../application/node-registry.js';
import { ServiceError } from '../base/service-error.js';
import { adoptEmbeddedCatalog } from '../catalog/primary/adopt-embedded.js';
import { openPrimaryCatalog } from '../catalog/primary/open-primary-catalog.js';
import { selfCaller } from '../cluster/membership.js';
import { HttpPeerObjects } from '../cluster/peer-objects.js';
import type { Config } from '../config/config.js';
import { readClusterKey } from '../identity/cluster-key.js';
import { signStatement } from '../identity/node-statement.js';
import { freshCatalog } from '../services/fresh-catalog.js';
import { AuthorityMethods } from '../services/authority-methods.js';
import { freshReading } from '../services/byte-stream-service.js';
import { CatalogFreshness } from '../services/catalog-freshness.js';
import { findNode } from './find-node.js';
import type { NodeRole, Self } from './node-role.js';

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
  const keyFile = config.catalog.clusterKeyFile;
  if (keyFile === null)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      'catalog.cluster_key_file: the authority needs the key that nodes join with; "oriel cluster init" makes one',
    );
  const clusterKey = readClusterKey(keyFile);
  if (primary.adopt !== undefined) adoptEmbeddedCatalog({ from: primary.adopt, dataDir: config.node.dataDir });
  const opened = await openPrimaryCatalog({ dataDir: config.node.dataDir, sqldPort: primary.sqldPort, log });
  const { catalog } = opened;
  const clock = { nowMs: () => Date.now() };
  const registry = new NodeRegistry({ catalog, clock, ids: { uuid: () => randomUUID() } });
  const peers = new HttpPeerObjects({
    find: (wanted) => findNode(catalog, wanted),
    sign: () => signStatement(key.privateKey, nodeId, selfCaller(nodeId), clock.nowMs()),
    ca: undefined,
  });
  const freshness = new CatalogFreshness(catalog, null);
  const announce = async (): Promise<void> => registry.announce(self.said(), await self.health(catalog));
  let timer: NodeJS.Timeout | undefined;
  return {
    catalog,
    ownsUnnamed: true,
    peers,
    statements: { keyOf: async (id) => (await findNode(catalog, id))?.publicKey, nowMs: clock.nowMs },
    commands: null,
    cluster: new AuthorityMethods({
      ...{ nodeId, registry, clock },
      proves: (id, publicKey, proof) => clusterKey.proves(id, publicKey, proof),
      syncUrl: `http://127.0.0.1:${opened.syncPort}`,
      mintReadToken: (ttlMs) => opened.mintReadToken(Math.ceil(ttlMs / 1000)),
    }),
    services: (local) => ({ catalog: freshCatalog(local, freshness), reading: freshReading(freshness) }),
    sqldPid: () => opened.sqldPid,
    async opened() {
      await registry.join(nodeId, key.publicKey);
      await announce();
      timer = setInterval(() => {
        announce().catch((error: unknown) => log.warn({ err: error }, 'the authority could not note itself'));
      }, ANNOUNCE_EVERY_MS);
    },
    async close() {
      clearInterval(timer);
      await peers.close();
      await opened.close();
    },
  };
}
