/** The store suite over a real Swift, and what only Swift has. */
import { randomUUID } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import { openSwiftStore, type SwiftStoreOptions } from '../../src/stores/swift/swift-store.js';
import { eventually } from '../support/eventually.js';
import { hasKeystone, startKeystone, type TestKeystone } from '../support/keystone.js';
import { hasSwift, startSwift, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';
import { beginPut, keyOf, largeObjects } from './large-objects.js';
import { storeSuite } from './store-suite.js';

const PROJECT_USER = { name: 'oriel', password: 'swordfish', project: 'images', roles: ['member'] };

describe.skipIf(!hasSwift() || !hasKeystone())('over Swift', () => {
  let keystone: TestKeystone;
  let swift: TestSwift;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    folder = await tempFolder('swift-store');
    keystone = await startKeystone([PROJECT_USER]);
    swift = await startSwift({ keystoneUrl: keystone.url });
    await keystone.setEndpoint({ type: 'object-store', name: 'swift' }, `${swift.url}/v1/KEY_%(project_id)s`);
    await writeFile(join(folder.path, 'key'), `${swift.key}\n`, { mode: 0o600 });
    await writeFile(join(folder.path, 'password'), PROJECT_USER.password, { mode: 0o640 });
  });
  afterAll(async () => {
    await swift.stop();
    await keystone.stop();
    await folder.remove();
  });

  const optionsOf = (container: string): SwiftStoreOptions => ({
    ...{ id: asStoreId('safe'), authUrl: swift.authUrl, user: swift.user, keyFile: join(folder.path, 'key') },
    ...{ container, authVersion: '1' },
  });

  const segmentsBesides = async (store: ImageStore, container: string): Promise<readonly string[]> => {
    const left: string[] = [];
    for (const name of await swift.list(`${container}_segments`)) {
      const key = keyOf(name.slice(0, name.indexOf('/')).replaceAll('~', '/'));
      if ((await store.stat(key)) === undefined) left.push(name);
    }
    return left;
  };

  const make = async () => {
    const container = `c-${randomUUID()}`;
    const store = await openSwiftStore(optionsOf(container));
    return {
      ...{ store, container, leftovers: () => segmentsBesides(store, container) },
      dispose: () => Promise.resolve(),
    };
  };
  storeSuite('swift', make);
  largeObjects('swift', make);

  test('removes the segments of a put that was interrupted, and only those', async () => {
    const { store, container } = await make();
    beginPut(store, 'image/one');
    beginPut(store, 'image');
    await eventually(
      () => swift.list(`${container}_segments`),
      (names) => names.length === 2,
    );
    expect(await store.delete(keyOf('image'))).toBe(false);
    expect((await swift.list(`${container}_segments`)).length).toBe(2);
    const other = await openSwiftStore(optionsOf(container));
    expect(await other.delete(keyOf('image'))).toBe(false);
    expect((await swift.list(`${container}_segments`)).every((name) => name.startsWith('image~one/'))).toBe(true);
    expect(await other.delete(keyOf('image/one'))).toBe(false);
    expect(await swift.list(`${container}_segments`)).toEqual([]);
  });

  test('LIMIT_EXCEEDED when the quota is used up, before and in the middle', async () => {
    const { store, container } = await make();
    const quota = { 'x-container-meta-quota-bytes': String(9 * MIB) };
    expect((await swift.request('PUT', `/${container}_segments`, quota)).status).toBe(201);
    expect(await store.capacity()).toEqual({ totalBytes: 9 * MIB, freeBytes: 9 * MIB });
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let mib = 0; mib < 40; mib++) yield await Promise.resolve(Buffer.alloc(MIB, mib));
    };
    const signal = new AbortController().signal;
    const announced = store.put(keyOf('full'), source(), { signal, expectedSizeBytes: 40 * MIB });
    await expect(announced).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    await expect(store.put(keyOf('full'), source(), { signal })).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    expect(await swift.list(`${container}_segments`)).toEqual([]);
  });

  test('signs in with Keystone, takes the object store of its catalog, and is named without credentials', async () => {
    const store = await openSwiftStore({
      ...{ id: asStoreId('cloud'), authUrl: keystone.url.replace('/v3', ''), container: 'images', authVersion: '3' },
      ...{ user: `${PROJECT_USER.project}:${PROJECT_USER.name}`, keyFile: join(folder.path, 'password') },
    });
    const signal = new AbortController().signal;
    await store.put(keyOf('a/b'), once('bytes'), { signal });
    expect(await store.stat(keyOf('a/b'))).toEqual({ sizeBytes: 5 });
    await store.check();
    expect(store.url(keyOf('a/b'))).toBe(`swift+${keystone.url.replace('/v3', '')}/images/a/b`);
  });

  test('a wrong key is UNAVAILABLE and is in no message; a file open to all is refused', async () => {
    const keyFile = join(folder.path, 'wrong');
    await writeFile(keyFile, 'not-the-key', { mode: 0o600 });
    const store = await openSwiftStore({ ...optionsOf('any'), keyFile });
    const failure: unknown = await store.check().catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'UNAVAILABLE', message: expect.stringContaining('store safe') as string });
    expect(String(failure)).not.toContain('not-the-key');
    await chmod(keyFile, 0o644);
    await expect(openSwiftStore({ ...optionsOf('any'), keyFile })).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  });
});

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}
