import { join } from 'node:path';
import { catalogCases } from '../../test/catalog-suite/catalog-cases.js';
import { openEmbeddedCatalog } from './embedded-catalog.js';

catalogCases(async (directory) => {
  const catalog = await openEmbeddedCatalog({ path: join(directory, 'catalog.db') });
  return { catalog, close: async () => await catalog.close() };
});
