import type { Log } from '../application/log.js';
import type { Announcement, NodeHealth } from '../application/node-registry.js';
import type { Catalog } from '../application/ports/catalog.js';
import type { NodeCommands } from '../application/ports/node-commands.js';
import type { PeerObjects } from '../application/ports/peer-objects.js';
import type { NodeId } from '../base/brand.js';
import type { Config } from '../config/config.js';
import type { NodeKey } from '../identity/node-key.js';
import type { StatementChecks } from '../identity/node-statement.js';
import type { ClusterMethods } from '../services/authority-methods.js';
import type { CatalogMethods, CatalogService } from '../services/catalog-service.js';
import type { Reading } from '../services/byte-stream-service.js';

/** What a node knows of itself before it has a catalog. */
export interface Self {
  readonly nodeId: NodeId;
  /** The key it signs with; made when it is asked for first. */
  key(): NodeKey;
  readonly log: Log;
  /** What it tells others; addresses are empty until its doors are open. */
  said(): Announcement;
  health(catalog: Catalog): Promise<NodeHealth>;
}

/** What the rest of the node asks of its role once there is a catalog service over its own catalog. */
export interface RoleServices {
  /** The catalog service that the doors serve. */
  readonly catalog: CatalogMethods;
  readonly reading: Reading;
  /** Throws UNAVAILABLE while the catalog is too old to say who may see what. */
  readonly checkAge: () => void;
  /** Asks for news of the catalog, where it is a copy. */
  readonly refresh: () => void;
}

/** What a node that reads the catalog itself has to say of a copy's age. */
export const NO_COPY = { checkAge: () => undefined, refresh: () => undefined };

/**
 * What a node is for the catalog: on its own, the authority of a cluster, or an edge of one. All that differs between the
 * three is behind this.
 */
export interface NodeRole {
  readonly catalog: Catalog;
  /** Objects of no named node are this one's. */
  readonly ownsUnnamed: boolean;
  readonly peers: PeerObjects | null;
  /** By which statements of other nodes are believed; null: none are. */
  readonly statements: StatementChecks | null;
  readonly cluster: ClusterMethods;
  /** What this node tells the authority; null: it is the authority, and use cases do it. */
  readonly commands: NodeCommands | null;
  services(local: CatalogService, hooks: RoleHooks): RoleServices;
  /** The doors are open: addresses are known. */
  opened(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the catalog as the role has it, for a node that knows itself. */
export type OpenRole = (self: Self) => Promise<NodeRole>;

/** Starts what takes long, before the rest of the node is loaded. */
export type BeginRole = (config: Config, log: Log) => Promise<OpenRole>;

/** What a role calls in the node. */
export interface RoleHooks {
  /** Stops an upload whose image is gone. */
  readonly stopUpload: (imageId: string) => void;
  /** The catalog came on: objects may have become garbage. */
  readonly advanced: () => void;
}
