/** Uploads that do not end well: the client goes away, the image is deleted meanwhile, many crawl at once. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNode, type TestNode } from '../support/node.js';
import { PacedBody } from '../support/paced-body.js';
import { RestClient } from '../support/rest-client.js';
import { SeededRandom } from '../support/seeded-random.js';
import { FILES_PER_IMAGE, storedFiles } from '../support/stored-files.js';

const MIB = 1024 * 1024;
const FORMATS = { disk_format: 'raw', container_format: 'bare' };

let node: TestNode;
let rest: RestClient;
const random = new SeededRandom(1);

beforeAll(async () => {
  node = await startNode();
  rest = new RestClient(node.httpUrl);
});

afterAll(async () => {
  await node.stop();
});

const inStatus = (id: string, status: string) =>
  eventually(
    () => rest.show(id),
    (image) => image.status === status,
  );

const fileCount = (count: number) =>
  eventually(
    () => storedFiles(node.dataDir),
    (files) => files.length === count,
  );

it('returns an image to queued, and keeps nothing, when its uploader vanishes', async () => {
  const image = await rest.create({ name: 'vanishing', ...FORMATS });
  const body = new PacedBody();
  const connection = new AbortController();
  const upload = rest.upload(image.id, body, connection.signal);
  for (let sent = 0; sent < 3; sent += 1) body.send(random.bytes(MIB));
  await inStatus(image.id, 'saving');
  connection.abort();
  await expect(upload).rejects.toThrow();

  const after = await inStatus(image.id, 'queued');
  expect(after).toMatchObject({ size: null, checksum: null, os_hash_value: null });
  await fileCount(0);

  const bytes = random.bytes(MIB + 1);
  expect(await rest.upload(image.id, bytes)).toMatchObject({ status: 204 });
  expect(await rest.digest(image.id)).toMatchObject({ status: 200, sizeBytes: MIB + 1 });
  await rest.call('DELETE', `/v2/images/${image.id}`);
  await fileCount(0);
});

it('answers 410 to the uploader of an image that was deleted meanwhile, and keeps nothing', async () => {
  const image = await rest.create({ name: 'doomed', ...FORMATS });
  const body = new PacedBody();
  const upload = rest.upload(image.id, body);
  body.send(random.bytes(2 * MIB));
  await inStatus(image.id, 'saving');
  expect(await rest.call('DELETE', `/v2/images/${image.id}`)).toMatchObject({ status: 204 });
  body.send(random.bytes(MIB));
  body.end();

  expect((await upload).status).toBe(410);
  expect((await rest.call('GET', `/v2/images/${image.id}`)).status).toBe(404);
  await fileCount(0);
});

it('refuses a second upload while the first runs, which then succeeds', async () => {
  const image = await rest.create({ name: 'contended', ...FORMATS });
  const body = new PacedBody();
  const upload = rest.upload(image.id, body);
  body.send(random.bytes(MIB));
  await inStatus(image.id, 'saving');
  expect((await rest.upload(image.id, random.bytes(10))).status).toBe(409);
  body.end();
  expect((await upload).status).toBe(204);
  await rest.call('DELETE', `/v2/images/${image.id}`);
  await fileCount(0);
});

it('serves lists and other uploads while 200 uploads crawl', async () => {
  const crawling = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const image = await rest.create({ name: `slow-${index}`, ...FORMATS });
      const body = new PacedBody();
      const upload = rest.upload(image.id, body);
      body.send(random.bytes(1000));
      return { image, body, upload };
    }),
  );
  await eventually(
    () => rest.list('?status=saving&limit=1000'),
    (images) => images.length === crawling.length,
  );
  const quick = await rest.create({ name: 'quick', ...FORMATS });
  expect((await rest.upload(quick.id, random.bytes(MIB))).status).toBe(204);
  expect((await rest.list('?limit=25')).length).toBe(crawling.length + 1);

  for (const { body } of crawling) {
    body.send(random.bytes(1000));
    body.end();
  }
  const answers = await Promise.all(crawling.map(({ upload }) => upload));
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([204]));
  expect((await rest.list('?status=active&limit=1000')).length).toBe(crawling.length + 1);
  await fileCount((crawling.length + 1) * FILES_PER_IMAGE);
});

it('changes nothing twice when two clients patch one image', async () => {
  const image = await rest.create({ name: 'patched', ...FORMATS });
  const rounds = 25;
  for (let round = 0; round < rounds; round += 1) {
    const answers = await Promise.all([
      rest.patch(image.id, [{ op: 'add', path: `/left_${round}`, value: 'l' }]),
      rest.patch(image.id, [{ op: 'add', path: `/right_${round}`, value: 'r' }]),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200]);
  }
  const properties = Object.keys(await rest.show(image.id)).filter((name) => /^(left|right)_/.test(name));
  expect(properties.length).toBe(2 * rounds);
});
