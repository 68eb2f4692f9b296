import { Metadata } from 'nice-grpc-common';
import type { GetServiceInfoResponse, NodeServiceClient } from '../gen/oriel/node/v1/node_service.js';
import type { CallOptions } from './byte-streams.js';
import { ImageRenderer } from './v2/image-json.js';

/** The configuration of the service, and what is made from it once. */
export interface ServiceInfo {
  readonly response: GetServiceInfoResponse;
  /** More than one store: images name their stores, `/v2/info/stores` exists (reference §6.13). */
  readonly multiStore: boolean;
  readonly renderer: ImageRenderer;
}

/**
 * The configuration of the service behind, kept for `maxAgeMs`. An old copy is used while the next one is fetched, so that
 * only the very first request ever waits.
 */
export class ServiceInfoCache {
  readonly #node: NodeServiceClient;
  readonly #maxAgeMs: number;
  #info: ServiceInfo | undefined;
  #fetchedAtMs = 0;
  #fetching = false;

  constructor(node: NodeServiceClient, maxAgeMs: number) {
    this.#node = node;
    this.#maxAgeMs = maxAgeMs;
  }

  /** The configuration; `call` is used when it has to be fetched. Fails as GetServiceInfo does, when there is no copy. */
  get(call: CallOptions): ServiceInfo | Promise<ServiceInfo> {
    if (this.#info === undefined) return this.#fetch(call);
    if (performance.now() - this.#fetchedAtMs > this.#maxAgeMs) this.refresh(call.metadata);
    return this.#info;
  }

  /**
   * Fetches a new copy in the background. When that fails the old one stays, and the request that needs the next one says
   * why: a node that cannot be reached makes its own noise.
   */
  refresh(metadata: Metadata = new Metadata()): void {
    if (this.#fetching) return;
    this.#fetching = true;
    const keepOld = (): void => {
      this.#fetching = false;
    };
    this.#fetch({ metadata, signal: AbortSignal.timeout(this.#maxAgeMs) }).then(keepOld, keepOld);
  }

  async #fetch(call: CallOptions): Promise<ServiceInfo> {
    const response = await this.#node.getServiceInfo({}, call);
    this.#fetchedAtMs = performance.now();
    const multiStore = response.stores.length > 1;
    const view = { showMultipleLocations: response.showMultipleLocations, multiStore };
    const old = this.#info;
    const sameView =
      old !== undefined &&
      old.multiStore === multiStore &&
      old.response.showMultipleLocations === response.showMultipleLocations;
    this.#info = { response, multiStore, renderer: sameView ? old.renderer : new ImageRenderer(view) };
    return this.#info;
  }
}
