import type { NodeId } from '../base/brand.js';

/** What a node is for the catalog: its writer, or the holder of a copy. */
export const NODE_ROLES = ['authority', 'edge'] as const;
export type NodeRole = (typeof NODE_ROLES)[number];

/** A node as the catalog knows it: what changes seldom, so that a copy of the catalog is enough to find every node. */
export interface ClusterNode {
  readonly id: NodeId;
  readonly role: NodeRole;
  readonly site: string;
  readonly version: string;
  /** URL of the HTTP listener, by which other nodes read its data; '': not announced yet. */
  readonly httpUrl: string;
  /** HOST:PORT of the gRPC listener; '': not announced yet. */
  readonly grpcAddress: string;
  readonly stores: readonly string[];
  /** Ed25519, SubjectPublicKeyInfo in PEM: what the node signs is checked by it. */
  readonly publicKey: string;
  /** When the authority noted a change of it or a sign of life, in milliseconds since 1970; at most a minute behind. */
  readonly seenAtMs: number;
}
