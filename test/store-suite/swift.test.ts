/** The store suite over a real Swift, and what only Swift has. */
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import { openSwiftStore, type SwiftStoreOptions } from '../../src/stores/swift/swift-store.js';
import { eventually } from '../support/eventually.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';
import { beginPut, keyOf, largeObjects } from './large-objects.js';
import { storeSuite } from './store-suite.js';

describe.skipIf(!hasSwift())('over Swift', () => {
  let swift: TestSwift;
  let started: TestSwift | undefined;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    folder = await tempFolder('swift-store');
    started = await startSwift();
    swift = started;
    await writeFile(join(folder.path, 'key'), `${swift.key}\n`, { mode: 0o600 });
  }, SWIFT_START_MS);
  afterAll(async () => {
    await started?.stop();
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
    // The first put makes it; what is looked up before is looked up in a store that is wrong.
    expect((await swift.request('PUT', `/${container}`)).status).toBe(201);
    return {
      ...{ store, container, leftovers: () => segmentsBesides(store, container) },
      dispose: () => Promise.resolve(),
    };
  };
  storeSuite('swift', make);
  largeObjects('swift', make);

  test('UNAVAILABLE while its container is another one, which must not read as if all objects had been deleted', async () => {
    const store = await openSwiftStore(optionsOf(`c-${randomUUID()}`));
    await expect(store.stat(keyOf('image/one'))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    const read = store.read(keyOf('image/one'), { offsetBytes: 0, lengthBytes: 1 }, {});
    await expect(read[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await store.put(keyOf('image/one'), oneByte(), { signal: new AbortController().signal });
    expect(await store.stat(keyOf('image/one'))).toEqual({ sizeBytes: 1 });
    expect(await store.stat(keyOf('image/two'))).toBeUndefined();
  });

  async function* oneByte(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.alloc(1));
  }

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

  test('LIMIT_EXCEEDED when the quota is too small, before the first byte and at the segment that does not fit', async () => {
    const { store, container } = await make();
    const quota = { 'x-container-meta-quota-bytes': String(4 * MIB) };
    expect((await swift.request('PUT', `/${container}_segments`, quota)).status).toBe(201);
    expect(await store.capacity()).toEqual({ totalBytes: 4 * MIB, freeBytes: 4 * MIB });
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let mib = 0; mib < 40; mib++) yield await Promise.resolve(Buffer.alloc(MIB, mib));
    };
    const signal = new AbortController().signal;
    const announced = store.put(keyOf('full'), source(), { signal, expectedSizeBytes: 40 * MIB });
    await expect(announced).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    await expect(store.put(keyOf('full'), source(), { signal })).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    expect(await swift.list(`${container}_segments`)).toEqual([]);
  });

  test('a TempURL opens the object, its parts and nothing else, until it expires', async () => {
    const tempUrlKey = randomUUID();
    await writeFile(join(folder.path, 'url-key'), `${tempUrlKey}\n`, { mode: 0o600 });
    expect((await swift.request('POST', '', { 'x-account-meta-temp-url-key': tempUrlKey })).ok).toBe(true);
    const container = `c-${randomUUID()}`;
    const tempUrl = { keyFile: join(folder.path, 'url-key'), ttlMs: 60_000 };
    const store = await openSwiftStore({ ...optionsOf(container), tempUrl });
    const [key, other] = [keyOf('image/data'), keyOf('image/other')];
    const bytes = randomBytes(9 * MIB + 5);
    const { signal } = new AbortController();
    await store.put(key, Readable.from([bytes]), { signal });
    await store.put(other, Readable.from([Buffer.from('secret')]), { signal });
    const url = store.directUrl?.(key, Date.now()) ?? '';
    expect(url).not.toContain(tempUrlKey);
    const got = await fetch(url);
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(url, { headers: { range: `bytes=${8 * MIB - 2}-${8 * MIB + 1}` } });
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(8 * MIB - 2, 8 * MIB + 2))).toBe(true);
    expect((await fetch(url, { method: 'HEAD' })).headers.get('content-length')).toBe(String(bytes.length));
    const query = new URL(url).search;
    const refused = [
      `${swift.url}/v1/AUTH_test/${container}/${other}${query}`,
      store.directUrl?.(key, Date.now() - 3_600_000) ?? '',
      url.replace('sig=', 'sig=0'),
    ];
    for (const bad of refused) expect((await fetch(bad)).status).toBe(401);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(401);
  });

  test('a Swift that does not answer when the store is opened has no TempURLs until it does', async () => {
    const tempUrl = { keyFile: join(folder.path, 'key'), ttlMs: 60_000 };
    const store = await openSwiftStore({ ...optionsOf('any'), authUrl: 'http://127.0.0.1:9', tempUrl });
    expect(store.directUrl?.(keyOf('a'), Date.now())).toBeUndefined();
    expect((await openSwiftStore(optionsOf('any'))).directUrl?.(keyOf('a'), Date.now())).toBeUndefined();
  });

  test('a wrong key is UNAVAILABLE and is in no message; a file open to all is refused', async () => {
    const keyFile = join(folder.path, 'wrong');
    await writeFile(keyFile, 'not-the-key', { mode: 0o600 });
    const store = await openSwiftStore({ ...optionsOf('any'), keyFile });
    const failure: unknown = await store.check().catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'UNAVAILABLE', message: expect.stringContaining('store safe') as string });
    expect(String(failure)).not.toContain('not-the-key');
    await chmod(keyFile, 0o644);
    await expect(openSwiftStore({ ...optionsOf('any'), keyFile })).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
  });
});
