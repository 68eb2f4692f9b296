import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { PATCH_V20 } from './rest-caller.js';
import type { Rest } from './rest.js';

/** PATCH against a real image (reference §6.4); the parser has tests of its own. */
export function patchCases(rest: Rest): void {
  it('applies operations in order, all or none', async () => {
    const caller = rest.as();
    const { id } = await caller.create({ a: '1' });
    const answer = await caller.patch(id, [
      { op: 'add', path: '/name', value: 'first' },
      { op: 'replace', path: '/name', value: 'second' },
      { op: 'add', path: '/a', value: '2' },
      { op: 'add', path: '/b', value: '3' },
      { op: 'remove', path: '/b' },
      { op: 'replace', path: '/tags', value: ['x'] },
    ]);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ name: 'second', a: '2', tags: ['x'] });
    const failed = await caller.patch(id, [
      { op: 'replace', path: '/name', value: 'third' },
      { op: 'remove', path: '/missing' },
    ]);
    expect(failed.status).toBe(409);
    expect((await caller.show(id))['name']).toBe('second');
  });

  it('takes draft 4 under its media type', async () => {
    const caller = rest.as();
    const { id } = await caller.create({ a: '1' });
    const added = await caller.patch(
      id,
      [
        { add: '/b', value: '2' },
        { replace: '/name', value: 'n' },
      ],
      PATCH_V20,
    );
    expect(JSON.parse(added.text)).toMatchObject({ a: '1', b: '2', name: 'n' });
    expect((await caller.patch(id, [{ add: '/b', value: '3' }], PATCH_V20)).status).toBe(409);
    expect((await caller.patch(id, [{ add: '/name', value: '3' }], PATCH_V20)).status).toBe(409);
    expect((await caller.patch(randomUUID(), [{ add: '/name', value: '3' }], PATCH_V20)).status).toBe(404);
    expect((await caller.patch(id, [{ remove: '/b' }], PATCH_V20)).status).toBe(200);
  });

  it('answers 415 with Accept-Patch', async () => {
    const { id } = await rest.as().create();
    for (const type of ['application/json', 'application/json-patch+json']) {
      const answer = await rest.as().patch(id, [], type);
      expect(answer.status).toBe(415);
      expect(answer.headers['accept-patch']).toContain('openstack-images-v2.1-json-patch');
    }
    expect(await rest.as().status('PATCH', `/v2/images/${id}`, [])).toBe(415);
  });

  it('accepts an empty list from whoever sees the image', async () => {
    const image = await rest.as().create({ visibility: 'community' });
    const answer = await rest.as().patch(image.id, []);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([200, image]);
  });

  it.each([
    ['a missing property replaced', [{ op: 'replace', path: '/zzz', value: 'v' }], 409],
    ['an internal column', [{ op: 'replace', path: '/image_id', value: 'v' }], 409],
    ['the size', [{ op: 'replace', path: '/size', value: 1 }], 403],
    ['the stores', [{ op: 'add', path: '/stores', value: 'x' }], 403],
    ['the locations', [{ op: 'replace', path: '/locations', value: [] }], 403],
    ['the owner', [{ op: 'add', path: '/owner', value: 'x' }], 403],
    ['public', [{ op: 'replace', path: '/visibility', value: 'public' }], 403],
    ['a format of no kind', [{ op: 'replace', path: '/disk_format', value: 'floppy' }], 400],
    ['a body that is no list', {}, 400],
    ['129 tags', [{ op: 'replace', path: '/tags', value: Array.from({ length: 129 }, (_, n) => `t${n}`) }], 413],
    ['129 properties', Array.from({ length: 129 }, (_, n) => ({ op: 'add', path: `/p${n}`, value: 'v' })), 413],
  ])('refuses %s', async (_what, operations, status) => {
    const caller = rest.as();
    const image = await caller.create({ visibility: 'community' });
    const answer = await caller.patch(image.id, operations);
    expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
    expect(await caller.show(image.id)).toEqual(image);
  });

  it('answers 403 to a stranger who sees the image and 404 to one who does not', async () => {
    const caller = rest.as();
    const change = [{ op: 'replace', path: '/name', value: 'x' }];
    const open = await caller.create({ visibility: 'community' });
    expect((await rest.as().patch(open.id, change)).status).toBe(403);
    const closed = await caller.create({ visibility: 'private' });
    expect((await rest.as().patch(closed.id, change)).status).toBe(404);
    expect((await rest.admin.patch(closed.id, [{ op: 'add', path: '/owner', value: 'other' }])).status).toBe(200);
  });

  it('keeps the formats once there is data', async () => {
    const caller = rest.as();
    const { id } = await caller.createActive(Buffer.from('x'));
    expect((await caller.patch(id, [{ op: 'replace', path: '/disk_format', value: 'raw' }])).status).toBe(403);
    expect((await caller.patch(id, [{ op: 'add', path: '/container_format', value: 'ovf' }])).status).toBe(403);
  });

  it('applies disjoint patches that come at once', async () => {
    const caller = rest.as();
    const { id } = await caller.create();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => caller.patch(id, [{ op: 'add', path: `/p${n}`, value: `${n}` }])),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await caller.show(id)).toMatchObject(Object.fromEntries(answers.map((_, n) => [`p${n}`, `${n}`])));
  });
}
