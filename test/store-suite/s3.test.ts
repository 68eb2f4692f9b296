/** The store suite over the S3 API of a real Swift, and what only S3 has. */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import { openS3Store, type S3StoreOptions } from '../../src/stores/s3/s3-store.js';
import { eventually } from '../support/eventually.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';
import { beginPut, keyOf, largeObjects } from './large-objects.js';
import { storeSuite } from './store-suite.js';

describe.skipIf(!hasSwift())('over S3', () => {
  let swift: TestSwift;
  let started: TestSwift | undefined;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  const credentials = (secret: string) =>
    `[default]\naws_access_key_id = ${swift.user}\naws_secret_access_key = ${secret}\n[other]\naws_access_key_id = x\n`;
  beforeAll(async () => {
    folder = await tempFolder('s3-store');
    started = await startSwift();
    swift = started;
    await writeFile(join(folder.path, 'keys'), credentials(swift.key), { mode: 0o600 });
  }, SWIFT_START_MS);
  afterAll(async () => {
    await started?.stop();
    await folder.remove();
  });

  const optionsOf = (bucket: string): S3StoreOptions => ({
    ...{ id: asStoreId('safe'), endpoint: swift.url, region: 'us-east-1', bucket },
    credentialsFile: join(folder.path, 'keys'),
  });

  /** Swift keeps parts as `<bucket>+segments/<key>/<upload>/<number>`, and unfinished uploads there without a number. */
  const partsBesides = async (store: ImageStore, bucket: string): Promise<readonly string[]> => {
    const left: string[] = [];
    for (const name of await swift.list(`${bucket}+segments`)) {
      const key = keyOf(/^(.*?)\/[^/]+(?:\/\d+)?$/.exec(name)?.[1] ?? name);
      if ((await store.stat(key)) === undefined) left.push(name);
    }
    return left;
  };

  const make = async () => {
    const bucket = `b-${randomUUID()}`;
    await swift.request('PUT', `/${bucket}`);
    const store = await openS3Store(optionsOf(bucket));
    return { store, bucket, leftovers: () => partsBesides(store, bucket), dispose: () => Promise.resolve() };
  };
  storeSuite('s3', make);
  largeObjects('s3', make);

  test('drops the multipart uploads of a put that was interrupted, and only those', async () => {
    const { store, bucket } = await make();
    beginPut(store, 'image/one');
    beginPut(store, 'image');
    await eventually(
      () => swift.list(`${bucket}+segments`),
      (names) => names.length === 4,
    );
    expect(await store.delete(keyOf('image'))).toBe(false);
    expect((await swift.list(`${bucket}+segments`)).length).toBe(4);
    const other = await openS3Store(optionsOf(bucket));
    expect(await other.delete(keyOf('image'))).toBe(false);
    expect((await swift.list(`${bucket}+segments`)).every((name) => name.startsWith('image/one/'))).toBe(true);
    expect(await other.delete(keyOf('image/one'))).toBe(false);
    expect(await swift.list(`${bucket}+segments`)).toEqual([]);
  });

  test('a bucket that is not there is UNAVAILABLE, not an object that is not there', async () => {
    const store = await openS3Store(optionsOf('not-there'));
    await expect(store.stat(keyOf('a'))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(store.check()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(store.url(keyOf('a/b'))).toBe(`s3://${new URL(swift.url).host}/not-there/a/b`);
  });

  test('a presigned URL opens the object and nothing else, until it expires', async () => {
    const { bucket } = await make();
    const store = await openS3Store({ ...optionsOf(bucket), presignTtlMs: 60_000 });
    const [key, other] = [keyOf('image/data'), keyOf('image/other')];
    const bytes = randomBytes(9 * MIB + 5);
    const { signal } = new AbortController();
    await store.put(key, Readable.from([bytes]), { signal });
    await store.put(other, Readable.from([Buffer.from('secret')]), { signal });
    const url = store.directUrl?.(key, Date.now()) ?? '';
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
    const part = await fetch(url, { headers: { range: `bytes=${8 * MIB - 2}-${8 * MIB + 1}` } });
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(8 * MIB - 2, 8 * MIB + 2))).toBe(true);
    expect((await fetch(url.replace(key, other))).status).toBe(403);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
    expect((await fetch(store.directUrl?.(key, Date.now() - 3_600_000) ?? '')).status).toBe(403);
    expect((await openS3Store(optionsOf(bucket))).directUrl?.(key, Date.now())).toBeUndefined();
  });

  test('a wrong secret is UNAVAILABLE and is in no message', async () => {
    const credentialsFile = join(folder.path, 'wrong');
    await writeFile(credentialsFile, credentials('not-the-secret'), { mode: 0o600 });
    const store = await openS3Store({ ...optionsOf('any'), credentialsFile });
    const failure: unknown = await store.check().catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'UNAVAILABLE', message: expect.stringContaining('store safe') as string });
    expect(String(failure)).not.toContain('not-the-secret');
    await writeFile(credentialsFile, 'aws_access_key_id = x\n');
    await expect(openS3Store({ ...optionsOf('any'), credentialsFile })).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
  });
});
