import type { RegisteredStore, StoreRegistry } from '../application/store-registry.js';
import type { Config } from '../config/config.js';
import type { Limits } from '../domain/limits.js';
import type { GetServiceInfoResponse, Store, StoreDetail } from '../gen/oriel/node/v1/node_service.js';

/** The limits of the domain, from their configured names (Images API v2 §10). */
export function limitsOf({ limits }: Config): Limits {
  return {
    pageSizeDefault: limits.limitParamDefault,
    pageSizeMax: limits.apiLimitMax,
    imagePropertyQuota: limits.imagePropertyQuota,
    imageTagQuota: limits.imageTagQuota,
    imageMemberQuota: limits.imageMemberQuota,
    imageLocationQuota: limits.imageLocationQuota,
    imageSizeCapBytes: limits.imageSizeCapBytes,
  };
}

/** What the node service tells of the configuration. */
export function serviceInfoOf(config: Config, stores: StoreRegistry): GetServiceInfoResponse {
  const { imageSizeCapBytes, ...limits } = limitsOf(config);
  return {
    diskFormats: [...config.images.diskFormats],
    containerFormats: [...config.images.containerFormats],
    limits: { ...limits, imageSizeCap: BigInt(imageSizeCapBytes) },
    stores: stores.all.map((entry) => storeOf(entry, stores)),
    // Imports need workers, which this release has none of.
    importMethods: [],
    showMultipleLocations: config.images.showMultipleLocations,
    hashingAlgorithm: config.images.hashingAlgorithm,
  };
}

/** What the node service tells administrators of the stores. */
export function storeDetailsOf(stores: StoreRegistry): readonly StoreDetail[] {
  return stores.all.map((entry) => {
    const { weight, properties } = entry;
    return { store: storeOf(entry, stores), weight, properties: new Map(properties) };
  });
}

function storeOf({ store, description, readOnly }: RegisteredStore, { defaultId }: StoreRegistry): Store {
  return { id: store.id, description, default: store.id === defaultId, readOnly: readOnly === true, type: store.type };
}
