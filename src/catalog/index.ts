export { openEmbeddedCatalog } from './embedded-catalog.js';
