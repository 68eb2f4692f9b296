import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asStoreId } from '../../src/base/brand.js';
import { openFileStore } from '../../src/stores/file/file-store.js';
import { storeSuite } from './store-suite.js';

storeSuite('file', async () => {
  const path = await mkdtemp(join(tmpdir(), 'oriel-file-store-'));
  return {
    store: await openFileStore({ id: asStoreId('file'), path }),
    leftovers: () => readdir(join(path, 'tmp')),
    dispose: () => rm(path, { recursive: true }),
  };
});
