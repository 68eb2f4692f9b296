/** Images made of data that lies somewhere already: in a real Swift, behind its S3 API, at an HTTP mirror. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImageStore } from '../../src/application/ports/image-store.js';
import { asObjectKey, asStoreId, type ObjectKey } from '../../src/base/brand.js';
import { openS3Store } from '../../src/stores/s3/s3-store.js';
import { openSwiftStore } from '../../src/stores/swift/swift-store.js';
import { eventually } from '../support/eventually.js';
import { callerOf, FORMATS, type LocatedNode, metadataOf, startLocatedNode, waysOf } from '../support/located-node.js';
import { runOriel } from '../support/oriel-command.js';
import type { ImageDocument, RestClient } from '../support/rest-client.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 1024 * 1024;
const BYTES = randomBytes(9 * MIB + 123);
const MD5 = createHash('md5').update(BYTES).digest('hex');

/** The first byte, a range over several units, the last bytes. */
async function checkData(rest: RestClient, url: string, id: string): Promise<void> {
  expect(await rest.digest(id)).toEqual({ status: 200, sizeBytes: BYTES.length, md5: MD5 });
  for (const [first, last] of [
    [0, 0],
    [MIB - 5, 4 * MIB + 5],
    [BYTES.length - 3, BYTES.length - 1],
  ] as const) {
    const headers = { range: `bytes=${first}-${last}`, 'x-auth-token': 'root:root:admin' };
    const answer = await fetch(`${url}/v2/images/${id}/file`, { headers });
    expect(answer.status).toBe(206);
    expect(Buffer.from(await answer.arrayBuffer()).equals(BYTES.subarray(first, last + 1))).toBe(true);
  }
}

describe('at an HTTP mirror', () => {
  let located: LocatedNode;
  let owner: RestClient;
  let admin: RestClient;
  let url = '';
  beforeAll(async () => {
    located = await startLocatedNode();
    owner = callerOf(located, 'member', 'amy');
    admin = callerOf(located, 'admin', 'root');
    located.mirror.objects.set('/pub/a.raw', BYTES);
    url = `${located.mirror.url}/pub/a.raw`;
  });
  afterAll(() => located.stop());

  it('an owner makes an image of an object, without a byte being stored', async () => {
    for (const add of waysOf(owner)) {
      const image = await owner.create(FORMATS);
      expect((await add(image, url)).status).toBeLessThan(300);
      expect(await owner.show(image.id)).toMatchObject({
        ...{ status: 'active', size: BYTES.length, checksum: null, os_hash_value: null, stores: 'web' },
        locations: [{ url }],
      });
      await checkData(admin, located.node.httpUrl, image.id);
      expect((await owner.call('DELETE', `/v2/images/${image.id}`)).status).toBe(204);
    }
    expect(await readdir(path.join(located.folder, 'fast'), { recursive: true })).not.toContainEqual(
      expect.stringMatching(/\.data$/),
    );
    expect(located.mirror.objects.get('/pub/a.raw')).toBe(BYTES);
  });

  it('the command line does so, and says where the data lies', async () => {
    const image = await owner.create(FORMATS);
    const to = ['--node', located.node.grpcAddress, '--token', 'root:root:admin'];
    const bare = await runOriel(['image', 'add-location', image.id, 'http://127.0.0.1:1/x', ...to]);
    expect([bare.code, bare.stderr]).toEqual([1, expect.stringContaining('INVALID_ARGUMENT')]);
    const added = await runOriel(['image', 'add-location', image.id, url, '--metadata', 'rack=7', '--json', ...to]);
    expect([added.code, added.stderr]).toEqual([0, '']);
    expect(JSON.parse(added.stdout)).toMatchObject({ status: 'active', size: BYTES.length });
    const listed = await runOriel(['image', 'locations', image.id, ...to]);
    expect(listed.stdout).toMatch(/^STATE +STORE +NODE +OURS +URL\nunverified +web +\S+ +no +http:\S+\/pub\/a\.raw\n$/);
    const json = await runOriel(['image', 'locations', image.id, '--json', ...to]);
    expect(JSON.parse(json.stdout)).toMatchObject([{ store: 'web', url, metadata: { rack: '7' } }]);
  });

  it('a reader goes on at the other copy when the file or the mirror fails', async () => {
    const image = await owner.create(FORMATS);
    expect((await owner.upload(image.id, new Uint8Array(BYTES))).status).toBe(204);
    const [, patch] = waysOf(owner);
    expect((await patch?.(image, url))?.status).toBe(200);
    located.mirror.trouble = () => ({ kind: 'break-answer', afterBytes: 3 * MIB + 5 });
    const answer = await fetch(`${located.node.httpUrl}/v2/images/${image.id}/file?prefer=web`, {
      headers: { 'x-auth-token': 'root:root:admin' },
    });
    const hash = createHash('md5').update(Buffer.from(await answer.arrayBuffer()));
    expect(hash.digest('hex')).toBe(MD5);
    // Damage of the mirror is not served: the map of the stored copy tells.
    located.mirror.trouble = () => undefined;
    const damaged = Buffer.from(BYTES);
    damaged[5 * MIB] = (damaged[5 * MIB] ?? 0) ^ 1;
    located.mirror.objects.set('/pub/a.raw', damaged);
    const checked = await fetch(`${located.node.httpUrl}/v2/images/${image.id}/file?prefer=web`, {
      headers: { 'x-auth-token': 'root:root:admin' },
    });
    expect(
      createHash('md5')
        .update(Buffer.from(await checked.arrayBuffer()))
        .digest('hex'),
    ).toBe(MD5);
    located.mirror.objects.set('/pub/a.raw', BYTES);
    const files = await readdir(path.join(located.folder, 'fast'), { recursive: true, withFileTypes: true });
    for (const file of files)
      if (file.name.endsWith('.data') && file.parentPath.includes(image.id))
        await rm(path.join(file.parentPath, file.name));
    expect(await owner.digest(image.id)).toMatchObject({ status: 200, md5: MD5 });
  });

  it('nothing is stored in it, and it says so', async () => {
    const { stores } = (await owner.call('GET', '/v2/info/stores')).json() as { stores: unknown[] };
    expect(stores).toEqual([
      expect.objectContaining({ id: 'fast', default: 'true' }),
      expect.objectContaining({ id: 'web', 'read-only': 'true' }),
    ]);
    const detail = (await admin.call('GET', '/v2/info/stores/detail')).json() as { stores: unknown[] };
    expect(detail.stores[1]).toMatchObject({ id: 'web', type: 'http', 'read-only': 'true', properties: {} });
    const image = await owner.create(FORMATS);
    const headers = { 'content-type': 'application/octet-stream', 'x-image-meta-store': 'web' };
    const upload = await owner.call('PUT', `/v2/images/${image.id}/file`, new Uint8Array(5), { headers });
    expect([upload.status, upload.text]).toEqual([400, expect.stringContaining('read-only')]);
    expect((await owner.show(image.id)).status).toBe('queued');
    expect((await owner.upload(image.id, new Uint8Array(5))).status).toBe(204);
    const copy = located.client.data.copyImage({ imageId: image.id, store: 'web' }, metadataOf('admin'));
    await expect(copy).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  });
});

describe.skipIf(!hasSwift())('in Swift and S3', { timeout: 60_000 }, () => {
  let swift: TestSwift;
  let located: LocatedNode | undefined;
  let keys: Awaited<ReturnType<typeof tempFolder>>;
  let admin: RestClient;
  const stores: { name: string; store: ImageStore }[] = [];
  const running = (): LocatedNode => located ?? expect.fail('no node');
  const keyOf = (text: string): ObjectKey => asObjectKey(text) ?? expect.fail(text);
  beforeAll(async () => {
    keys = await tempFolder('from-location');
    swift = await startSwift();
    await swift.request('PUT', '/bucket');
    const keyFile = path.join(keys.path, 'key');
    const credentialsFile = path.join(keys.path, 'keys');
    await writeFile(keyFile, swift.key, { mode: 0o600 });
    const lines = `aws_access_key_id = ${swift.user}\naws_secret_access_key = ${swift.key}\n`;
    await writeFile(credentialsFile, lines, { mode: 0o600 });
    const { authUrl, user } = swift;
    const inSwift = { id: asStoreId('safe'), authUrl, user, keyFile, container: 'images', authVersion: '1' as const };
    stores.push({ name: 'safe', store: await openSwiftStore(inSwift) });
    const inS3 = {
      id: asStoreId('cloud'),
      endpoint: swift.url,
      bucket: 'bucket',
      region: 'us-east-1',
      credentialsFile,
    };
    stores.push({ name: 'cloud', store: await openS3Store(inS3) });
    located = await startLocatedNode({
      secureHash: true,
      more:
        `[stores.safe]\ntype = "swift"\nauth_url = "${authUrl}"\nuser = "${user}"\nkey_file = "${keyFile}"\n` +
        `container = "images"\nauth_version = "1"\n[stores.cloud]\ntype = "s3"\nendpoint = "${swift.url}"\n` +
        `bucket = "bucket"\ncredentials_file = "${credentialsFile}"\n`,
    });
    admin = callerOf(located, 'admin', 'root');
  }, SWIFT_START_MS);
  afterAll(async () => {
    await located?.stop();
    await swift.stop();
    await keys.remove();
  });
  const storeOf = (name: string): ImageStore =>
    stores.find((each) => each.name === name)?.store ?? expect.fail(`no store ${name}`);
  const place = async (name: string, key: ObjectKey): Promise<string> => {
    const store = storeOf(name);
    const source = (async function* () {
      yield await Promise.resolve(BYTES);
    })();
    await store.put(key, source, { signal: new AbortController().signal });
    return store.url(key);
  };

  it.each(['safe', 'cloud'])('a service makes images of an object in %s, and removes none', async (name) => {
    const key = keyOf(`golden/${randomUUID()}.raw`);
    const url = await place(name, key);
    const grpc = running().client;
    const ways = [
      ...waysOf(callerOf(running(), 'service')),
      async ({ id }: ImageDocument) => {
        await grpc.catalog.addImageLocation({ imageId: id, url }, metadataOf('service'));
        return { status: 202 };
      },
    ];
    for (const add of ways) {
      const image = await callerOf(running(), 'member', 'amy').create({ ...FORMATS, visibility: 'community' });
      expect((await add(image, url)).status).toBeLessThan(300);
      expect(await admin.show(image.id)).toMatchObject({ status: 'active', size: BYTES.length, stores: name });
      await checkData(admin, running().node.httpUrl, image.id);
      // Meanwhile it is read for its digests.
      await eventually(
        () => admin.show(image.id),
        ({ checksum }) => checksum === MD5,
      );
      const { locations } = await grpc.catalog.listImageLocations({ imageId: image.id }, metadataOf('admin'));
      expect(locations).toMatchObject([
        { store: name, url, digestState: 'LOCATION_DIGEST_STATE_VERIFIED', created: false },
      ]);
      await checkData(admin, running().node.httpUrl, image.id);
      expect((await admin.call('DELETE', `/v2/images/${image.id}`)).status).toBe(204);
    }
    expect(await storeOf(name).stat(key)).toEqual({ sizeBytes: BYTES.length });
  });

  it.each(['safe', 'cloud'])('objects elsewhere than in the container of %s are refused', async (name) => {
    const good = storeOf(name).url(keyOf('golden/a.raw'));
    const image = await admin.create(FORMATS);
    for (const url of [
      ...[good.replace('/golden/', '/../golden/'), good.replace('golden/', 'golden/../'), `${good}?a=1`],
      ...[good.replace(/\/(images|bucket)\//, '/$1_segments/'), good.replace('127.0.0.1', 'elsewhere.example')],
      ...[good.replace('golden/a.raw', ''), good.replace('golden', '%67olden'), good.replace('://', '://u:p@')],
      ...['swift+config://ref/images/a', 's3://bucket/golden/a.raw', `${good}x`],
    ])
      for (const add of waysOf(admin)) expect((await add(image, url)).status, url).toBe(400);
    expect((await admin.show(image.id)).status).toBe('queued');
  });

  it.each(['safe', 'cloud'])(
    "LP1546507: the object of another image in %s is refused, and survives the other's removal",
    async (name) => {
      const headers = { 'content-type': 'application/octet-stream', 'x-image-meta-store': name };
      const hers = await admin.create(FORMATS);
      const uploaded = await admin.call('PUT', `/v2/images/${hers.id}/file`, new Uint8Array(BYTES), { headers });
      expect(uploaded.status).toBe(204);
      const shown = (await admin.show(hers.id)) as unknown as { locations: { url: string }[] };
      const url = shown.locations[0]?.url ?? '';
      const his = await admin.create({ ...FORMATS, visibility: 'community' });
      for (const role of ['member', 'service', 'admin'])
        for (const add of waysOf(callerOf(running(), role, role === 'member' ? 'root' : role)))
          expect([400, 403]).toContain((await add(his, url)).status);
      expect((await admin.call('DELETE', `/v2/images/${his.id}`)).status).toBe(204);
      // The image that has it may name it again, with other metadata.
      const value = { url, metadata: { rack: '7' } };
      expect((await admin.patch(hers.id, [{ op: 'add', path: '/locations/-', value }])).status).toBe(200);
      expect((await admin.patch(hers.id, [{ op: 'remove', path: '/locations/1' }])).status).toBe(200);
      await checkData(admin, running().node.httpUrl, hers.id);
    },
  );

  it('CVE-2013-0212, CVE-2014-1948, CVE-2024-1141: no key is in an error or the log, whatever fails', async () => {
    const image = await admin.create(FORMATS);
    const urls = stores.map(({ store }) => store.url(keyOf('golden/none.raw')));
    const texts: string[] = [];
    for (const url of [...urls, ...urls.map((each) => each.replace('://', `://${swift.user}:${swift.key}@`))])
      for (const add of waysOf(admin)) texts.push((await add(image, url)).text);
    const log = running().node.stderr();
    for (const text of [...texts, log]) expect(text).not.toContain(swift.key);
  });
});
