/** A store in a real Swift that trusts a real Keystone. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import { openSwiftStore } from '../../src/stores/swift/swift-store.js';
import { hasKeystone, startKeystone, type TestKeystone } from '../support/keystone.js';
import { hasSwift, startSwift, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';
import { keyOf } from './large-objects.js';

const USER = { name: 'oriel', password: 'swordfish', project: 'images', roles: ['member'] };
const START_MS = 120_000;

describe.skipIf(!hasSwift() || !hasKeystone())('Swift with Keystone', () => {
  const running: { stop(): Promise<void> }[] = [];
  let keystone: TestKeystone;
  let swift: TestSwift;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    folder = await tempFolder('swift-keystone');
    keystone = await startKeystone([USER]);
    running.push(keystone);
    swift = await startSwift({ keystoneUrl: keystone.url });
    running.push(swift);
    await keystone.setEndpoint({ type: 'object-store', name: 'swift' }, `${swift.url}/v1/KEY_%(project_id)s`);
    await writeFile(join(folder.path, 'password'), USER.password, { mode: 0o640 });
  }, START_MS);
  afterAll(async () => {
    await Promise.all(running.map((server) => server.stop()));
    await folder.remove();
  });

  test('signs in, takes the object store of the catalog, and has a URL without credentials', async () => {
    const store = await openSwiftStore({
      ...{ id: asStoreId('cloud'), authUrl: keystone.url.replace('/v3', ''), container: 'images', authVersion: '3' },
      ...{ user: `${USER.project}:${USER.name}`, keyFile: join(folder.path, 'password') },
    });
    await store.check();
    const bytes = randomBytes(9 * MIB);
    await store.put(keyOf('a/b'), once(bytes), { signal: new AbortController().signal });
    const hash = createHash('sha256');
    for await (const chunk of store.read(keyOf('a/b'), { offsetBytes: 0, lengthBytes: bytes.length }, {}))
      hash.update(chunk);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(store.url(keyOf('a/b'))).toBe(`swift+${keystone.url.replace('/v3', '')}/images/a/b`);
    expect(await store.delete(keyOf('a/b'))).toBe(true);
  });
});

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
