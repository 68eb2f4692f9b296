import { failedWith, ServiceError } from '../base/service-error.js';
import type { Catalog } from '../application/ports/catalog.js';
import type * as wire from '../gen/oriel/node/v1/node_service.js';
import type { NodeServiceClient } from '../gen/oriel/node/v1/node_service.js';
import { type ClusterMethods, type EpochProofs, nodeMessage } from './authority-methods.js';
import type { AuthorityLink } from './edge-catalog-service.js';
import type { ServiceContext } from './service-context.js';

export interface EdgeClusterParts {
  readonly node: NodeServiceClient;
  readonly authority: Pick<AuthorityLink, 'vouch' | 'run'>;
  readonly copy: Pick<Catalog, 'read'>;
  /** The latest epoch that this node has seen, and proofs. */
  readonly epochs: Pick<EpochProofs, 'prove'> & { seen(): number };
}

/** The calls about the cluster as an edge answers them: the authority knows; while it is away, the copy tells who there is. */
export class EdgeMethods implements ClusterMethods {
  readonly #node: NodeServiceClient;
  readonly #authority: Pick<AuthorityLink, 'vouch' | 'run'>;
  readonly #copy: Pick<Catalog, 'read'>;
  readonly #epochs: EdgeClusterParts['epochs'];

  constructor(parts: EdgeClusterParts) {
    this.#node = parts.node;
    this.#authority = parts.authority;
    this.#copy = parts.copy;
    this.#epochs = parts.epochs;
  }

  async listNodes(context: ServiceContext): Promise<wire.ListNodesResponse> {
    const options = this.#authority.vouch(await context.caller(), context);
    try {
      return await this.#authority.run(() => this.#node.listNodes({}, options));
    } catch (error) {
      if (!failedWith(error, 'UNAVAILABLE') && !failedWith(error, 'DEADLINE_EXCEEDED')) throw error;
      const nodes = await this.#copy.read((reader) => reader.nodes());
      // Nobody here knows who is alive.
      return {
        nodes: nodes.map((node) => nodeMessage({ node, health: null, seenAtMs: node.seenAtMs, alive: false })),
      };
    }
  }

  join(): Promise<wire.JoinResponse> {
    return Promise.reject(isEdge());
  }

  announceNode(): Promise<wire.AnnounceNodeResponse> {
    return Promise.reject(isEdge());
  }

  holdPosition(): Promise<wire.HoldPositionResponse> {
    return Promise.reject(isEdge());
  }

  /** An authority that starts asks whether it was replaced. */
  fenceAuthority(): Promise<wire.FenceAuthorityResponse> {
    const epoch = this.#epochs.seen();
    return Promise.resolve({ epoch: BigInt(epoch), proof: this.#epochs.prove(epoch) });
  }
}

function isEdge(): ServiceError {
  return new ServiceError('STATE_CONFLICT', 'This node is an edge: name the authority of the cluster as its primary.');
}
