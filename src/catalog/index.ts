export { openEmbeddedCatalog } from './embedded-catalog.js';
export { openReplicaCatalog, type ReplicaCatalog, type ReplicaCatalogOptions } from './replica/replica-catalog.js';
