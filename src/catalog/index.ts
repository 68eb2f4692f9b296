export { type EmbeddedCatalogOptions, openEmbeddedCatalog } from './embedded-catalog.js';
