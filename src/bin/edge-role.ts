import { join } from 'node:path';
import type { NodeCommands } from '../application/ports/node-commands.js';
import { openReplicaCatalog } from '../catalog/replica/replica-catalog.js';
import { checkFolderRole } from '../catalog/upkeep/folder-role.js';
import { ServiceError } from '../base/service-error.js';
import { AuthorityLink } from '../cluster/authority-link.js';
import { Membership, selfCaller } from '../cluster/membership.js';
import { PositionReports } from '../cluster/position-reports.js';
import { HttpPeerObjects } from '../cluster/peer-objects.js';
import type { Config } from '../config/config.js';
import { type ClusterKey, readClusterKey } from '../identity/cluster-key.js';
import type { ReportLocationRequest } from '../gen/oriel/catalog/v1/catalog_service.js';
import { signStatement } from '../identity/node-statement.js';
import type { NodeAddress } from '../rpc/node-client.js';
import { announcementMessage } from '../services/authority-methods.js';
import { edgeReading } from '../services/byte-stream-service.js';
import { CatalogFreshness } from '../services/catalog-freshness.js';
import { CopyAge } from '../services/copy-age.js';
import { EdgeCatalogService } from '../services/edge-catalog-service.js';
import { EdgeMethods } from '../services/edge-methods.js';
import { findingToWire } from '../services/image-words.js';
import { OwnWrites } from '../services/own-writes.js';
import { findNode } from './find-node.js';
import type { NodeRole, Self } from './node-role.js';
import { type ClusterTls, clusterTlsOf } from './tls-files.js';

const NO_TRACE = { trace: { requestId: undefined, traceparent: undefined } };

/** A node with a copy of the catalog: it answers reads itself and sends changes to the authority. */
export async function openEdgeRole(config: Config, primary: string, self: Self): Promise<NodeRole> {
  const { nodeId, log } = self;
  checkFolderRole(config.node.dataDir, 'edge');
  const key = self.key();
  const clusterKey = clusterKeyOf(config);
  const proof = clusterKey.proof(nodeId, key.publicKey);
  const catalogId = (): number => replica.catalogId();
  const epochs = { ...clusterKey.epochsOf(catalogId), seen: () => replica.seenEpoch(), catalogId };
  const tls = clusterTlsOf(config);
  const link = new AuthorityLink({
    address: addressOf(primary, tls),
    sign: (caller) => signStatement(key.privateKey, nodeId, caller, membership.nowMs()),
    log,
  });
  const membership: Membership = new Membership({
    ...{ nodeId, publicKey: key.publicKey, proof, link, epochs, log },
    announcement: async () => announcementMessage(self.said(), await self.health(replica)),
  });
  const replica = await openReplicaCatalog({
    directory: join(config.node.dataDir, 'replica'),
    source: async () => ({
      ...(await membership.join()),
      ...(tls === undefined ? {} : { caFile: tls.caFile }),
      ...syncUrlOf(config),
    }),
    syncIntervalMs: config.catalog.syncIntervalMs,
    log,
  });
  const peers = new HttpPeerObjects({
    find: (wanted) => findNode(replica, wanted),
    sign: () => signStatement(key.privateKey, nodeId, selfCaller(nodeId), membership.nowMs()),
    tls: tls?.texts,
  });
  const reports = new PositionReports({ link, copy: replica, nodeId, log });
  const ownWrites = new OwnWrites();
  const freshness = new CatalogFreshness(replica, ownWrites, () => replica.outage ?? link.shutBecause);
  const age = new CopyAge(replica, config.catalog.maxStalenessMs);
  return {
    catalog: replica,
    ownsUnnamed: false,
    peers,
    statements: { keyOf: async (id) => (await findNode(replica, id))?.publicKey, nowMs: () => membership.nowMs() },
    cluster: new EdgeMethods({ node: link.node, authority: link, copy: replica, epochs }),
    commands: remoteCommands(link, self),
    services(local, hooks) {
      replica.onAdvance(hooks.advanced);
      const edge = new EdgeCatalogService({
        ...{ local, copy: replica, authority: link, freshness, ownWrites, age },
        epochs: { seen: epochs.seen, tellReplaced: () => membership.tellReplaced() },
        onDeleted: hooks.stopUpload,
      });
      const copy = { checkAge: () => age.allow(false), refresh: () => replica.wake() };
      return { catalog: edge, reading: edgeReading(freshness, edge, age), ...copy };
    },
    opened() {
      membership.announceSoon();
      reports.start();
      return Promise.resolve();
    },
    async close() {
      membership.stop();
      reports.stop();
      await peers.close();
      await replica.close();
      link.close();
    },
  };
}

function clusterKeyOf({ catalog }: Config): ClusterKey {
  if (catalog.clusterKeyFile !== null) return readClusterKey(catalog.clusterKeyFile);
  throw new ServiceError('INVALID_ARGUMENT', 'catalog.cluster_key_file: an edge needs the key of its cluster');
}

// A tunnel may end at another address than the authority knows of.
function syncUrlOf({ catalog }: Config): { syncUrl?: string } {
  return catalog.syncUrl === null ? {} : { syncUrl: catalog.syncUrl };
}

function remoteCommands(link: AuthorityLink, { nodeId }: Self): NodeCommands {
  const options = () => link.vouch(selfCaller(nodeId), NO_TRACE);
  return {
    async abortUpload(lease) {
      await link.run(() => link.catalog.abortUpload(lease, options()));
    },
    async forgetGarbage(rows) {
      const objects = rows.map(({ storeId, key }) => ({ store: storeId, key, size: 0n, sha256: '' }));
      await link.run(() => link.catalog.forgetGarbage({ nodeId, objects }, options()));
    },
    async reportLocation({ imageId, locationId, key, found }) {
      const request: ReportLocationRequest = { nodeId, imageId, locationId, key, found: findingToWire(found) };
      const { marked } = await link.run(() => link.catalog.reportLocation(request, options()));
      return marked;
    },
    async endRepair({ imageId, imageVersion }) {
      const end = { nodeId, imageId, imageVersion: BigInt(imageVersion) };
      await link.run(() => link.catalog.endImageRepair(end, options()));
    },
  };
}

function addressOf(primary: string, tls: ClusterTls | undefined): NodeAddress {
  return {
    node: primary,
    option: '--primary',
    token: undefined,
    ca: tls?.caFile,
    cert: tls?.certFile,
    key: tls?.keyFile,
  };
}
