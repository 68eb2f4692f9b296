export { openEmbeddedCatalog } from './embedded-catalog.js';
export { adoptEmbeddedCatalog } from './primary/adopt-embedded.js';
export { openPrimaryCatalog, type PrimaryCatalog, type PrimaryCatalogOptions } from './primary/open-primary-catalog.js';
