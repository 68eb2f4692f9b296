import { ServiceError } from '../base/service-error.js';
import type { Announcement, NodeHealth } from '../application/node-registry.js';
import type * as wire from '../gen/oriel/node/v1/node_service.js';
import { type ClusterMethods, nodeMessage } from './authority-methods.js';

/** The calls about the cluster as a node on its own answers them: it is all there is. */
export class SingleMethods implements ClusterMethods {
  readonly #self: () => Promise<{ readonly said: Announcement; readonly health: NodeHealth }>;

  constructor(self: () => Promise<{ readonly said: Announcement; readonly health: NodeHealth }>) {
    this.#self = self;
  }

  async listNodes(): Promise<wire.ListNodesResponse> {
    const { said, health } = await this.#self();
    const seenAtMs = Date.now();
    return { nodes: [nodeMessage({ node: { ...said, publicKey: '', seenAtMs }, health, seenAtMs, alive: true })] };
  }

  join(): Promise<wire.JoinResponse> {
    return Promise.reject(noCluster());
  }

  announceNode(): Promise<wire.AnnounceNodeResponse> {
    return Promise.reject(noCluster());
  }

  holdPosition(): Promise<wire.HoldPositionResponse> {
    return Promise.reject(noCluster());
  }

  fenceAuthority(): Promise<wire.FenceAuthorityResponse> {
    return Promise.reject(noCluster());
  }
}

function noCluster(): ServiceError {
  return new ServiceError(
    'STATE_CONFLICT',
    'This node is the authority of no cluster: "oriel primary" starts one, "oriel primary --adopt FILE" makes one of a node.',
  );
}
