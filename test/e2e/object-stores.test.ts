/** A node over Swift and S3, with a file store beside: whole images through the service, and nothing left in the backend. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNode, type TestNode } from '../support/node.js';
import { PacedBody } from '../support/paced-body.js';
import { RestClient } from '../support/rest-client.js';
import { SeededRandom } from '../support/seeded-random.js';
import { storedFiles } from '../support/stored-files.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 1024 * 1024;
const FORMATS = { disk_format: 'raw', container_format: 'bare' };
/** Where Swift keeps what the two stores write. */
const CONTAINERS = ['images', 'images_segments', 'bucket', 'bucket+segments'];
const random = new SeededRandom(4);

describe.skipIf(!hasSwift())('a node over object stores', { timeout: 60_000 }, () => {
  let swift: TestSwift;
  let node: TestNode | undefined;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  const stopping: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    folder = await tempFolder('object-stores');
    stopping.push(folder.remove);
    swift = await startSwift();
    stopping.unshift(swift.stop);
    await swift.request('PUT', '/bucket');
    await mkdir(path.join(folder.path, 'data'));
    await writeFile(path.join(folder.path, 'key'), swift.key, { mode: 0o600 });
    const keys = `aws_access_key_id = ${swift.user}\naws_secret_access_key = ${swift.key}\n`;
    await writeFile(path.join(folder.path, 'keys'), keys, { mode: 0o600 });
    await writeFile(path.join(folder.path, 'oriel.toml'), configuration());
    node = await start();
  }, SWIFT_START_MS);
  afterAll(async () => {
    await node?.stop();
    for (const stop of stopping) await stop();
  });

  const configuration = (): string => `[stores.safe]
type = "swift"
default = true
auth_url = "${swift.authUrl}"
user = "${swift.user}"
key_file = "${folder.path}/key"
container = "images"
auth_version = "1"
[stores.cloud]
type = "s3"
endpoint = "${swift.url}"
bucket = "bucket"
credentials_file = "${folder.path}/keys"
[stores.fast]
path = "${folder.path}/data/images"
`;
  const start = () =>
    startNode({ dataDir: path.join(folder.path, 'data'), args: ['--config', path.join(folder.path, 'oriel.toml')] });
  const running = (): TestNode => {
    if (node === undefined) throw new Error('no node');
    return node;
  };
  const kept = async (): Promise<readonly string[]> => (await Promise.all(CONTAINERS.map(swift.list))).flat();

  it.each(['safe', 'cloud'])(
    'keeps 40 MiB of unknown size in %s, gives it whole and in part, and removes it',
    async (store) => {
      const rest = new RestClient(running().httpUrl);
      const image = await rest.create({ name: store, ...FORMATS });
      const hash = createHash('md5');
      const parts = Array.from({ length: 40 }, () => random.bytes(MIB));
      for (const part of parts) hash.update(part);
      const body = new PacedBody();
      const uploaded = rest.call('PUT', `/v2/images/${image.id}/file`, body, {
        headers: { 'content-type': 'application/octet-stream', 'x-image-meta-store': store },
      });
      for (const part of parts) body.send(part);
      body.end();
      expect((await uploaded).status).toBe(204);
      const md5 = hash.digest('hex');
      expect(await rest.show(image.id)).toMatchObject({
        status: 'active',
        size: 40 * MIB,
        checksum: md5,
        stores: store,
      });
      expect(await rest.digest(image.id)).toEqual({ status: 200, sizeBytes: 40 * MIB, md5 });
      const range = await fetch(`${running().httpUrl}/v2/images/${image.id}/file`, {
        headers: { range: `bytes=${8 * MIB - 7}-${24 * MIB}` },
      });
      expect(range.status).toBe(206);
      const expected = Buffer.concat(parts).subarray(8 * MIB - 7, 24 * MIB + 1);
      expect(Buffer.from(await range.arrayBuffer()).equals(expected)).toBe(true);
      expect((await kept()).length).toBeGreaterThan(2);

      expect((await rest.call('DELETE', `/v2/images/${image.id}`)).status).toBe(204);
      expect(await kept()).toEqual([]);
    },
  );

  it('keeps an image in the store that the request names', async () => {
    const rest = new RestClient(running().httpUrl);
    const image = await rest.create({ name: 'fast', ...FORMATS });
    const headers = { 'content-type': 'application/octet-stream', 'x-image-meta-store': 'fast' };
    const answer = await rest.call('PUT', `/v2/images/${image.id}/file`, random.bytes(1000), { headers });
    expect(answer.status).toBe(204);
    expect(await kept()).toEqual([]);
    expect((await storedFiles(running().dataDir)).length).toBe(2);
    await rest.call('DELETE', `/v2/images/${image.id}`);
    const info = (await rest.call('GET', '/v2/info/stores')).json() as { stores: { id: string; default?: unknown }[] };
    expect(info.stores.map(({ id }) => id)).toEqual(['safe', 'cloud', 'fast']);
  });

  it.each(['safe', 'cloud'])('leaves nothing in %s of an upload that kill -9 ended', async (store) => {
    const rest = new RestClient(running().httpUrl);
    const image = await rest.create({ name: 'killed', ...FORMATS });
    const body = new PacedBody();
    const upload = rest
      .call('PUT', `/v2/images/${image.id}/file`, body, {
        headers: { 'content-type': 'application/octet-stream', 'x-image-meta-store': store },
      })
      .catch(() => undefined);
    for (let sent = 0; sent < 20; sent += 1) body.send(random.bytes(MIB));
    await eventually(kept, (names) => names.length >= 2);
    await running().kill('SIGKILL');
    await upload;
    node = await start();
    await eventually(kept, (names) => names.length === 0);
    expect((await new RestClient(running().httpUrl).show(image.id)).status).toBe('queued');
    expect(running().stderr()).not.toContain(swift.key);
  });
});
