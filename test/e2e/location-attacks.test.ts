/** What reference §14.1 and §14.2 tell of locations, tried against a real node; each test is named for what it tries. */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { readdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { callerOf, FORMATS, type LocatedNode, metadataOf, startLocatedNode, waysOf } from '../support/located-node.js';
import type { Trouble } from '../support/object-server.js';
import type { ImageDocument, RestClient } from '../support/rest-client.js';

const MIB = 1024 * 1024;
const BYTES = randomBytes(4 * MIB + 5);
const CAP = 64 * MIB;

let located: LocatedNode;
let eve: RestClient;
let admin: RestClient;
/** What must not be reached from outside: it listens on loopback, and is no allowed host. */
let inside: Server;
let insidePort = 0;
let touched = 0;

beforeAll(async () => {
  located = await startLocatedNode({ more: `[limits]\nimage_size_cap = ${CAP}\n` });
  eve = callerOf(located, 'member', 'eve');
  admin = callerOf(located, 'admin', 'root');
  inside = createServer((_, response) => {
    touched += 1;
    response.end('secret of the inside');
  });
  await new Promise<void>((resolve) => inside.listen(0, '127.0.0.1', resolve));
  insidePort = (inside.address() as AddressInfo).port;
});
afterAll(async () => {
  await located.stop();
  inside.closeAllConnections();
  await new Promise((resolve) => inside.close(resolve));
});
afterEach(() => {
  located.mirror.trouble = () => undefined;
  located.mirror.requests.length = 0;
  expect(touched).toBe(0);
});

const place = (name: string, bytes = BYTES): string => {
  located.mirror.objects.set(`/pub/${name}`, bytes);
  return `${located.mirror.url}/pub/${name}`;
};
const always = (trouble: Trouble): void => {
  located.mirror.trouble = () => trouble;
};

/** Tries to add each URL in each way; all are answered 400, and the image stays queued. */
async function refused(urls: readonly string[], caller = eve): Promise<readonly string[]> {
  const image = await caller.create(FORMATS);
  const texts: string[] = [];
  for (const url of urls) {
    for (const add of waysOf(caller)) {
      const { status, text } = await add(image, url);
      expect(status, url).toBe(400);
      texts.push(text);
    }
    const call = located.client.catalog.addImageLocation({ imageId: image.id, url }, metadataOf('member', 'eve'));
    await expect(call, url).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  }
  expect((await caller.show(image.id)).status).toBe('queued');
  return texts;
}

async function active(name: string, caller = eve): Promise<ImageDocument> {
  const image = await caller.create(FORMATS);
  const [post] = waysOf(caller);
  expect((await post?.(image, place(name)))?.status).toBe(202);
  return caller.show(image.id);
}

it('CVE-2014-9493, CVE-2025-44021: files of the host', async () => {
  await refused([
    'file:///etc/passwd',
    'FILE:///etc/passwd',
    'file://localhost/etc/passwd',
    `file://${located.folder}/fast`,
  ]);
});

it('CVE-2015-1195: files of the host by another spelling', async () => {
  await refused(['filesystem:///etc/passwd', 'FileSystem:///etc/passwd']);
});

it('LP1334196, and schemes of no store: credentials of the service by reference', async () => {
  await refused([
    'swift+config://ref1/images/a',
    'swift://u:k@host/c/o',
    'rbd://pool/a',
    'sheepdog://;id',
    'data:,x',
    'nbd://h',
  ]);
});

it('CVE-2026-71196: loopback, link-local and own addresses, in every spelling', async () => {
  await refused(
    [
      ...['127.0.0.1', 'localhost', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '127.0.0.1.', '0.0.0.0', '0'],
      ...['[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]'],
      ...['[fe80::1%25lo]', '127.0.0.1%2f', '%3127.0.0.1', '127.0.0.2'],
    ].map((host) => `http://${host}:${insidePort}/a`),
  );
});

it('CVE-2026-34881: a redirect of an allowed mirror to loopback, metadata, a file or https to nowhere', async () => {
  for (const location of [
    ...[`http://127.0.0.1:${insidePort}/`, `http://localhost:${insidePort}/`, `//127.1:${insidePort}/`],
    ...['http://169.254.169.254/latest/meta-data/', 'file:///etc/passwd', 'http://[::ffff:169.254.169.254]/'],
  ]) {
    always({ status: 302, headers: { location } });
    const texts = await refused([`${located.mirror.url}/pub/redirect`]);
    expect(texts.join()).not.toMatch(/169\.254|passwd|secret/);
  }
});

it('a redirect while an image is read, to what was never checked', async () => {
  const image = await active('moving');
  always({ status: 302, headers: { location: `http://127.0.0.1:${insidePort}/` } });
  const answer = await eve.call('GET', `/v2/images/${image.id}/file`);
  expect([502, 503]).toContain(answer.status);
  expect(answer.text).not.toContain('secret of the inside');
});

it('CVE-2026-71198: a target is not asked for who has no right, or with a URL that is refused', async () => {
  const url = place('asked');
  const bobs = await callerOf(located, 'member', 'bob').create({ ...FORMATS, visibility: 'community' });
  for (const add of waysOf(eve)) expect((await add(bobs, url)).status).toBe(403);
  const reader = callerOf(located, 'reader', 'eve');
  const own = await eve.create(FORMATS);
  for (const add of waysOf(reader)) expect((await add(own, url)).status).toBe(403);
  await refused([`${url}#x`, url.replace('://', '://me:s3cret@'), `${url}?X-Amz-Signature=s3cret`]);
  expect(located.mirror.requests).toEqual([]);
  expect(located.node.stderr()).not.toContain('s3cret');
});

it('CVE-2017-7200: open, closed, silent and wrong answers are told apart by no word', async () => {
  const answers = new Set<string>();
  const closed = await refused([
    `http://127.0.0.1:1/a`,
    `http://no-such-host.invalid/a`,
    `http://127.0.0.1:${insidePort}/a`,
  ]);
  for (const trouble of [
    ...[{ status: 500, body: 'stack trace' }, { status: 404 }, { status: 401 }, { status: 403, body: 'SSH-2.0' }],
    ...[{ kind: 'reset' } as const, { status: 200, headers: { 'content-encoding': 'gzip' } }],
  ]) {
    always(trouble);
    for (const text of await refused([`${located.mirror.url}/pub/a`])) answers.add(text);
  }
  for (const text of closed) answers.add(text);
  expect([...answers].length).toBe(1);
});

it('CVE-2014-5356, CVE-2026-71197: an object that is larger than an image may be', async () => {
  const image = await eve.create(FORMATS);
  const url = place('large');
  always({ kind: 'claim-length', lengthBytes: CAP + 1 });
  for (const add of waysOf(eve)) expect((await add(image, url)).status).toBe(413);
  located.mirror.trouble = ({ method }) =>
    method === 'HEAD' ? { status: 405 } : { status: 206, headers: { 'content-range': `bytes 0-0/${CAP + 1}` } };
  for (const add of waysOf(eve)) expect((await add(image, url)).status).toBe(413);
  expect((await eve.show(image.id)).status).toBe('queued');
});

it('CVE-2016-0757: the last location stays, and the image active', async () => {
  const image = await active('last');
  for (const caller of [eve, admin])
    for (const change of [
      { op: 'remove', path: '/locations/0' },
      { op: 'replace', path: '/locations', value: [] },
    ])
      expect((await caller.patch(image.id, [change])).status).toBe(403);
  expect((await admin.call('DELETE', `/v2/stores/web/${image.id}`)).status).toBe(403);
  expect((await eve.upload(image.id, new Uint8Array(5))).status).toBe(409);
  expect(await eve.show(image.id)).toMatchObject({ status: 'active', size: BYTES.length });
});

it('CVE-2016-8611, OSSN-0057: an image has ten locations at most', async () => {
  const image = await active('first');
  const [, patch] = waysOf(eve);
  for (let count = 1; count < 10; count += 1) expect((await patch?.(image, place(`copy-${count}`)))?.status).toBe(200);
  expect((await patch?.(image, place('copy-10')))?.status).toBe(413);
  const many = Array.from({ length: 200 }, () => ({
    ...{ op: 'add', path: '/locations/-', value: { url: place('many'), metadata: {} } },
  }));
  located.mirror.requests.length = 0;
  expect((await eve.patch((await eve.create(FORMATS)).id, many)).status).toBe(413);
  expect(located.mirror.requests).toEqual([]);
});

it('CVE-2022-4134: other data behind an active image', async () => {
  const image = await eve.create(FORMATS);
  expect((await eve.upload(image.id, new Uint8Array(BYTES))).status).toBe(204);
  const other = randomBytes(BYTES.length);
  const [, patch] = waysOf(eve);
  expect((await patch?.(image, place('swapped', other)))?.status).toBe(200);
  // An owner cannot take the first copy away, and what is read is checked by its map.
  expect((await eve.patch(image.id, [{ op: 'remove', path: '/locations/0' }])).status).toBe(403);
  const read = await fetch(`${located.node.httpUrl}/v2/images/${image.id}/file?prefer=web`, {
    headers: { 'x-auth-token': 'eve:eve:member' },
  });
  const digest = createHash('sha256')
    .update(Buffer.from(await read.arrayBuffer()))
    .digest('hex');
  expect(digest).toBe(createHash('sha256').update(BYTES).digest('hex'));
  expect((await patch?.(image, place('longer', Buffer.concat([BYTES, BYTES]))))?.status).toBe(400);
});

it('CVE-2012-4573: a deletion that is denied leaves the bytes', async () => {
  const bob = callerOf(located, 'member', 'bob');
  const image = await bob.create({ ...FORMATS, visibility: 'community', protected: true });
  expect((await bob.upload(image.id, new Uint8Array(BYTES))).status).toBe(204);
  const [, patch] = waysOf(bob);
  expect((await patch?.(image, place('bobs')))?.status).toBe(200);
  expect((await eve.call('DELETE', `/v2/images/${image.id}`)).status).toBe(403);
  expect((await bob.call('DELETE', `/v2/images/${image.id}`)).status).toBe(403);
  expect((await eve.call('DELETE', `/v2/stores/fast/${image.id}`)).status).toBe(403);
  expect((await bob.patch(image.id, [{ op: 'remove', path: '/locations/0' }])).status).toBe(403);
  const files = await readdir(path.join(located.folder, 'fast'), { recursive: true });
  expect(files.filter((file) => file.includes(image.id) && file.endsWith('.data')).length).toBe(1);
  expect((await bob.digest(image.id)).sizeBytes).toBe(BYTES.length);
});

it('LP1546507: the object at the mirror that two images name survives the removal of both', async () => {
  const one = await active('shared');
  const two = await active('shared', callerOf(located, 'member', 'bob'));
  for (const { id } of [one, two]) expect((await admin.call('DELETE', `/v2/images/${id}`)).status).toBe(204);
  expect(located.mirror.requests.filter(({ method }) => !['HEAD', 'GET'].includes(method))).toEqual([]);
});

it.each<[string, Trouble]>([
  ['answers 500', { status: 500, body: 'stack trace' }],
  ['breaks off', { kind: 'break-answer', afterBytes: MIB }],
  ['claims more bytes than it sends', { kind: 'claim-length', lengthBytes: BYTES.length + 7 }],
  ['claims fewer bytes than it sends', { kind: 'claim-length', lengthBytes: 9 }],
  ['has another object there now', { status: 200, body: 'other', headers: { 'content-length': '5' } }],
  ['has it no more', { status: 404 }],
])('a mirror that %s: an error or an answer that breaks off, and the next reader has the data', async (_, trouble) => {
  const image = await active('faulty');
  always(trouble);
  const got = await eve.call('GET', `/v2/images/${image.id}/file`).catch((error: unknown) => error);
  if (got instanceof Error) expect(String(got)).toMatch(/terminated|fetch failed/);
  else
    expect(got).toMatchObject({
      status: expect.toSatisfy((status: number) => status === 502 || status === 503) as number,
    });
  expect(JSON.stringify(got)).not.toContain('stack trace');
  located.mirror.trouble = () => undefined;
  expect(await eve.digest(image.id)).toMatchObject({ status: 200, sizeBytes: BYTES.length });
});
