import { failedWith, ServiceError } from '../base/service-error.js';
import type { Catalog } from '../application/ports/catalog.js';
import type * as wire from '../gen/oriel/node/v1/node_service.js';
import type { NodeServiceClient } from '../gen/oriel/node/v1/node_service.js';
import { type ClusterMethods, nodeMessage } from './authority-methods.js';
import type { AuthorityLink } from './edge-catalog-service.js';
import type { ServiceContext } from './service-context.js';

/** The calls about the cluster as an edge answers them: the authority knows; while it is away, the copy tells who there is. */
export class EdgeMethods implements ClusterMethods {
  readonly #node: NodeServiceClient;
  readonly #authority: Pick<AuthorityLink, 'vouch' | 'run'>;
  readonly #copy: Pick<Catalog, 'read'>;

  constructor(node: NodeServiceClient, authority: Pick<AuthorityLink, 'vouch' | 'run'>, copy: Pick<Catalog, 'read'>) {
    this.#node = node;
    this.#authority = authority;
    this.#copy = copy;
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
}

function isEdge(): ServiceError {
  return new ServiceError('STATE_CONFLICT', 'This node is an edge: name the authority of the cluster as its primary.');
}
