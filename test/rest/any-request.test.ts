/** Random requests at every route: whatever comes, no bug answers and nothing hangs. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';
import { testSeed } from '../support/seeded-random.js';
import { type HttpAnswer, httpCall } from './http-call.js';

/** `npm run fuzz` asks for more. */
const RUNS = Number(process.env['ORIEL_FUZZ_RUNS'] ?? '1500');
const SEED = testSeed();
const ANSWER_LIMIT_MS = 10_000;

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND'];
const CONTENT_TYPES = [
  'application/json',
  'application/octet-stream',
  'application/openstack-images-v2.1-json-patch',
  'application/openstack-images-v2.0-json-patch',
  'text/plain',
  ';;;',
];
const KNOWN_IDS = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

const segment = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('images', 'file', 'tags', 'members', 'actions', 'deactivate', 'reactivate') },
  { weight: 4, arbitrary: fc.constantFrom(...KNOWN_IDS) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('info', 'import', 'stores', 'schemas', 'image', 'x', '', '%2F', '%zz', '%00'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }).map(encodeURIComponentSafely) },
);
const path = fc
  .tuple(fc.constantFrom('/v2', '/v2', '/v2', '/v2.1', '/v2.99', '/v1', ''), fc.array(segment, { maxLength: 5 }))
  .map(([version, segments]) => `${version}/${segments.join('/')}`);
const name = fc.constantFrom(
  'limit',
  'marker',
  'sort',
  'sort_key',
  'sort_dir',
  'name',
  'size_min',
  'created_at',
  'tag',
  'x',
);
const value = fc.oneof(
  fc.constantFrom('1', '-1', 'asc', 'name', 'in:"a', 'gt:2026-01-01', '', 'all', ...KNOWN_IDS),
  fc.string({ unit: 'grapheme', maxLength: 12 }).map(encodeURIComponentSafely),
);
const query = fc
  .array(fc.tuple(name, value), { maxLength: 4 })
  .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'));
const patch = fc.array(
  fc.record({
    op: fc.constantFrom('add', 'remove', 'replace', 'move'),
    path: fc.constantFrom(
      '/name',
      '/tags',
      '/x',
      '/__proto__',
      '/visibility',
      '/min_ram',
      '/id',
      '/a/b',
      '',
      '/locations/-',
    ),
    value: fc.oneof(fc.jsonValue(), fc.constantFrom('private', 'shared', 'v')),
  }),
  { maxLength: 4 },
);
const fields = fc.dictionary(
  fc.oneof(
    fc.constantFrom('name', 'id', 'tags', 'min_ram', 'visibility', 'member', 'status', 'disk_format'),
    fc.string(),
  ),
  fc.oneof(fc.jsonValue(), fc.constantFrom(...KNOWN_IDS, 'accepted', 'raw')),
  { maxKeys: 4 },
);
const body = fc.option(
  fc.oneof(
    patch.map((operations) => JSON.stringify(operations)),
    fields.map((object) => JSON.stringify(object)),
    fc.jsonValue().map((json) => JSON.stringify(json)),
    fc.string({ unit: 'binary', maxLength: 40 }),
  ),
  { nil: undefined },
);
/** Bytes that node takes in a header and metadata does not. */
const latin = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });
const oneOf = (...words: string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...words) },
    { weight: 1, arbitrary: latin.map((text) => text.replaceAll('\x7f', '').trim()) },
  );
const headers = fc
  .record(
    {
      'content-type': oneOf(...CONTENT_TYPES),
      accept: oneOf('', '*/*', 'application/json', 'application/vnd.openstack.images-v2.1', ',;'),
      range: oneOf('bytes=0-1', 'bytes=-1', 'bytes=x', 'bytes=0-1,2-3'),
      'content-range': oneOf('bytes 0-1/2', 'bytes */2', 'x'),
      'if-match': oneOf('"1"', '*', 'x'),
      'x-openstack-image-size': oneOf('1', 'x', '-1'),
      'x-image-meta-store': oneOf('file', 'none'),
      'x-openstack-request-id': oneOf('a', 'a b', 'a'.repeat(65)),
      'x-roles': oneOf('admin', 'member', 'reader', ''),
      'x-project-id': oneOf('p1', 'p2', ''),
      'x-auth-token': oneOf('u:p1:member', 'u:p2:admin', 'a:b', 'x'),
      traceparent: oneOf(`00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, '00-x'),
    },
    { requiredKeys: [] },
  )
  .map((record): Record<string, string> => ({ ...record }));

let node: TestNode;
beforeAll(async () => {
  node = await startNode();
  for (const id of KNOWN_IDS) {
    const owner = { 'x-project-id': 'p1', 'x-roles': 'member' };
    await httpCall(node.httpUrl, { method: 'POST', path: '/v2/images', headers: owner, body: { id } });
  }
});
afterAll(() => node.stop());

it(
  'answers any request, and never with 5xx',
  async () => {
    console.log(`${RUNS} random requests, ORIEL_SEED=${SEED}`);
    const request = fc.record({
      method: fc.constantFrom(...METHODS),
      path,
      query,
      body,
      headers,
      chunked: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        request,
        async ({ method, path: target, query: parameters, body: text, headers: sent, chunked }) => {
          const call = {
            method,
            path: `${target}?${parameters}`,
            headers: sent,
            body: text,
            chunked: chunked && text !== undefined,
          };
          const answer = await inTime(httpCall(node.httpUrl, call));
          expect(answer.status).toBeLessThan(500);
          expect(answer.headers['x-openstack-request-id']).toMatch(/^req-/);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  },
  60_000 + RUNS * 40,
);

async function inTime(answer: Promise<HttpAnswer>): Promise<HttpAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer came')), ANSWER_LIMIT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Half a surrogate pair has no encoding. */
function encodeURIComponentSafely(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, ''));
}
