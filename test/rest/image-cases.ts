import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Rest } from './rest.js';

/** Create, show, delete, actions (reference §3, §6.1, §6.3, §6.5, §6.8). */
export function imageCases(rest: Rest): void {
  it('creates an image with every default', async () => {
    const caller = rest.as();
    const answer = await caller.call({ method: 'POST', path: '/v2/images', body: {} });
    expect(answer.status).toBe(201);
    const image = JSON.parse(answer.text) as Record<string, unknown>;
    const { id, created_at, ...rest_ } = image;
    expect(answer.headers.location).toBe(`${rest.url}/v2/images/${String(id)}`);
    expect(answer.headers['openstack-image-import-methods']).toBeUndefined();
    expect(created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(rest_).toEqual({
      name: null,
      disk_format: null,
      container_format: null,
      visibility: 'shared',
      size: null,
      virtual_size: null,
      status: 'queued',
      checksum: null,
      protected: false,
      min_ram: 0,
      min_disk: 0,
      owner: caller.project,
      os_hidden: false,
      os_hash_algo: null,
      os_hash_value: null,
      updated_at: created_at,
      tags: [],
      self: `/v2/images/${String(id)}`,
      file: `/v2/images/${String(id)}/file`,
      schema: '/v2/schemas/image',
    });
  });

  it('creates an image with everything given', async () => {
    const fields = {
      id: randomUUID(),
      name: 'tab\there',
      disk_format: 'qcow2',
      container_format: 'bare',
      visibility: 'private',
      protected: true,
      min_ram: 1.0,
      min_disk: 2_147_483_647,
      os_hidden: true,
      is_public: 'plain',
      empty: '',
      __proto: 'x',
    };
    const image = await rest.as().create({ ...fields, tags: ['b', 'a', 'b'], os_hash_algo: 'md5' });
    expect(image).toMatchObject(fields);
    expect([...(image['tags'] as string[])].sort()).toEqual(['a', 'b']);
    expect(image['os_hash_algo']).toBeNull();
  });

  it('keeps __proto__ as a property', async () => {
    const caller = rest.as();
    const answer = await caller.call({
      method: 'POST',
      path: '/v2/images',
      body: '{"__proto__":"v","constructor":"w"}',
    });
    expect(answer.status).toBe(201);
    expect(answer.text).toContain('"__proto__":"v"');
    expect(answer.text).toContain('"constructor":"w"');
  });

  it('takes JSON of any Content-Type and chunked', async () => {
    for (const type of ['text/plain', 'application/octet-stream', 'nonsense', 'application/json; charset=utf-8']) {
      const call = { method: 'POST', path: '/v2/images', body: {}, headers: { 'content-type': type } };
      expect((await rest.as().call(call)).status).toBe(201);
      expect((await rest.as().call({ ...call, chunked: true })).status).toBe(201);
    }
  });

  it.each([
    ['no body', undefined, 400],
    ['no JSON', '{', 400],
    ['a list', [], 400],
    ['a text', '"x"', 400],
    ['null', 'null', 400],
    ['broken UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 400],
    ['a number as name', { name: 7 }, 400],
    ['a name of 256 characters', { name: 'x'.repeat(256) }, 400],
    ['a four-byte name', { name: '🙂' }, 400],
    ['a line end in the name', { name: 'a\nb' }, 400],
    ['an unknown disk format', { disk_format: 'floppy' }, 400],
    ['an unknown container format', { container_format: 'bag' }, 400],
    ['an id that is none', { id: 'x' }, 400],
    ['a number as property', { x: 7 }, 400],
    ['null as property', { x: null }, 400],
    ['an empty property name', { '': 'x' }, 400],
    ['a property name of 256 characters', { ['x'.repeat(256)]: 'v' }, 400],
    ['a fraction', { min_ram: 1.5 }, 400],
    ['a negative number', { min_disk: -1 }, 400],
    ['a number beyond 32 bits', { min_disk: 2_147_483_648 }, 400],
    ['a flag as text', { protected: 'true' }, 400],
    ['an unknown visibility', { visibility: 'secret' }, 400],
    ['tags of numbers', { tags: [1] }, 400],
    ['a tag of 256 characters', { tags: ['x'.repeat(256)] }, 400],
    ['a read-only attribute', { status: 'active' }, 403],
    ['a size', { size: 1 }, 403],
    ['locations', { locations: [] }, 403],
    ['a reserved attribute', { deleted: 'x' }, 403],
    ['a name of the service', { os_glance_x: 'x' }, 403],
    ['a foreign owner', { owner: 'somebody' }, 403],
    ['no owner', { owner: null }, 403],
    ['public', { visibility: 'public' }, 403],
    ['129 tags', { tags: Array.from({ length: 129 }, (_, index) => `t${index}`) }, 413],
    ['129 properties', Object.fromEntries(Array.from({ length: 129 }, (_, index) => [`p${index}`, 'v'])), 413],
    ['2 MiB', { x: 'x'.repeat(2 * 1024 * 1024) }, 413],
  ])('refuses to create from %s', async (_what, body, status) => {
    const answer = await rest.as().call({ method: 'POST', path: '/v2/images', body });
    expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
  });

  it('lets administrators do what members may not', async () => {
    const image = await rest.admin.create({ owner: 'somebody', visibility: 'public' });
    expect(image).toMatchObject({ owner: 'somebody', visibility: 'public' });
  });

  it('refuses readers', async () => {
    const project = `project-${randomUUID()}`;
    const image = await rest.as(project).create();
    const reader = rest.as(project, 'reader');
    expect((await reader.get(`/v2/images/${image.id}`)).status).toBe(200);
    expect(await reader.status('POST', '/v2/images', {})).toBe(403);
    expect((await reader.patch(image.id, [{ op: 'replace', path: '/name', value: 'x' }])).status).toBe(403);
    expect(await reader.status('DELETE', `/v2/images/${image.id}`)).toBe(403);
    expect(await reader.status('PUT', `/v2/images/${image.id}/tags/t`)).toBe(403);
    expect(await reader.status('POST', `/v2/images/${image.id}/actions/deactivate`)).toBe(403);
    expect((await reader.upload(image.id, Buffer.from('x'))).status).toBe(403);
  });

  it('answers 409 to an id in use and to one that was', async () => {
    const caller = rest.as();
    const { id } = await caller.create();
    expect(await caller.status('POST', '/v2/images', { id })).toBe(409);
    expect(await caller.status('DELETE', `/v2/images/${id}`)).toBe(204);
    expect(await caller.status('POST', '/v2/images', { id })).toBe(409);
  });

  it('shows an image to whom it is visible, and 404 to others', async () => {
    const caller = rest.as();
    const image = await caller.create({ visibility: 'private', os_hidden: true });
    expect(await caller.show(image.id)).toEqual(image);
    expect((await rest.as().get(`/v2/images/${image.id}`)).status).toBe(404);
    for (const id of ['x', 'a'.repeat(300), randomUUID(), 'name%20with%20blank']) {
      expect((await caller.get(`/v2/images/${id}`)).status).toBe(404);
    }
    const open = await caller.create({ visibility: 'community' });
    expect((await rest.as().get(`/v2/images/${open.id}`)).status).toBe(200);
  });

  it('deletes once, never a protected image, never another one', async () => {
    const caller = rest.as();
    const image = await caller.create({ protected: true, visibility: 'community' });
    const path = `/v2/images/${image.id}`;
    expect(await caller.status('DELETE', path)).toBe(403);
    expect(await rest.admin.status('DELETE', path)).toBe(403);
    expect((await caller.patch(image.id, [{ op: 'replace', path: '/protected', value: false }])).status).toBe(200);
    expect(await rest.as().status('DELETE', path)).toBe(403);
    expect(await caller.status('DELETE', path)).toBe(204);
    expect(await caller.status('DELETE', path)).toBe(404);
    expect(await rest.admin.status('GET', path)).toBe(404);
  });

  it('deactivates and reactivates', async () => {
    const caller = rest.as();
    const queued = await caller.create();
    expect(await caller.status('POST', `/v2/images/${queued.id}/actions/deactivate`)).toBe(403);
    expect(await caller.status('POST', `/v2/images/${queued.id}/actions/reactivate`)).toBe(403);
    const { id } = await caller.createActive(Buffer.from('data'));
    for (const [action, status] of [
      ['reactivate', 'active'],
      ['deactivate', 'deactivated'],
      ['deactivate', 'deactivated'],
    ]) {
      expect(await caller.status('POST', `/v2/images/${id}/actions/${action ?? ''}`)).toBe(204);
      expect((await caller.show(id)).status).toBe(status);
    }
    expect((await caller.get(`/v2/images/${id}/file`)).status).toBe(403);
    expect((await rest.admin.get(`/v2/images/${id}/file`)).status).toBe(200);
    expect((await caller.patch(id, [{ op: 'replace', path: '/name', value: 'still' }])).status).toBe(200);
    expect(await caller.status('POST', `/v2/images/${id}/actions/reactivate`)).toBe(204);
    expect(await caller.status('POST', `/v2/images/${randomUUID()}/actions/deactivate`)).toBe(404);
  });

  it('lets a stale version lose', async () => {
    const caller = rest.as();
    const created = await caller.call({ method: 'POST', path: '/v2/images', body: {} });
    const { id } = JSON.parse(created.text) as { id: string };
    const version = String(created.headers['oriel-image-version']);
    const patch = (headers: Record<string, string>) =>
      caller.call({
        method: 'PATCH',
        path: `/v2/images/${id}`,
        headers: { 'content-type': 'application/openstack-images-v2.1-json-patch', ...headers },
        body: [{ op: 'replace', path: '/name', value: 'n' }],
      });
    expect((await patch({ 'if-match': `"${version}"` })).status).toBe(200);
    expect((await patch({ 'if-match': `"${version}"` })).status).toBe(409);
    expect((await patch({ 'if-match': 'W/"x"' })).status).toBe(400);
    expect((await patch({ 'if-match': '*' })).status).toBe(200);
  });
}
