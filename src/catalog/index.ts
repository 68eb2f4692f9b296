export { openEmbeddedCatalog } from './embedded-catalog.js';
export { openReplicaCatalog, type ReplicaCatalog, type ReplicaCatalogOptions } from './replica/replica-catalog.js';
export type { ReplicaLog } from './replica/replica-log.js';
export type { ReplicaSource } from './replica/sync-source.js';
