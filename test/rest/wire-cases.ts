import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { httpCall } from './http-call.js';
import type { Rest } from './rest.js';

/** Conventions of the wire and version discovery (reference §2, §12.8). */
export function wireCases(rest: Rest): void {
  it.each(['GET', 'POST', 'DELETE'])('answers %s / with 300, the versions and no Location', async (method) => {
    const answer = await httpCall(rest.url, { method, path: '/', headers: { accept: 'application/json' } });
    expect(answer.status).toBe(300);
    expect(answer.headers.location).toBeUndefined();
    const { versions } = JSON.parse(answer.text) as { versions: { id: string; status: string; links: object[] }[] };
    expect(versions[0]?.status).toBe('CURRENT');
    expect(versions.map(({ id }) => id)).toContain('v2.0');
    expect(versions.map(({ id }) => id)).toContain('v2.1');
    for (const version of versions) expect(version.links).toEqual([{ rel: 'self', href: `${rest.url}/v2/` }]);
  });

  it.each(['/versions', '/versions/'])('answers %s with 200', async (path) => {
    expect((await httpCall(rest.url, { path })).status).toBe(200);
    expect((await httpCall(rest.url, { path, method: 'POST' })).status).toBe(200);
  });

  it('answers unknown versions with 300, /v2 with 302, /v2/ with 404', async () => {
    for (const path of ['/v3/images', '/v2.99/images', '/nothing'])
      expect((await rest.as().get(path)).status).toBe(300);
    const redirect = await rest.as().get('/v2');
    expect([redirect.status, redirect.headers.location]).toEqual([302, `${rest.url}/v2/`]);
    expect((await rest.as().get('/v2/')).status).toBe(404);
  });

  it.each(['x-user-id', 'x-project-id', 'x-roles', 'x-auth-token', 'x-service-token'])(
    'answers 400 to %s with other than printable ASCII',
    async (name) => {
      const answer = await httpCall(rest.url, { path: '/v2/images', headers: { [name]: 'b\xe9' } });
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(name);
    },
  );

  it('begins a trace of its own when the one sent is malformed', async () => {
    const answer = await httpCall(rest.url, { path: '/v2/images', headers: { traceparent: '00-\xe9' } });
    expect(answer.status).toBe(200);
  });

  it('serves announced minors by prefix and by media type', async () => {
    const caller = rest.as();
    const list = await caller.get('/v2.1/images?limit=1');
    expect(JSON.parse(list.text)).toMatchObject({ first: '/v2/images?limit=1' });
    const negotiated = await caller.get('/images', { accept: 'application/vnd.openstack.images-v2.1' });
    expect(negotiated.status).toBe(200);
    expect((await caller.get('/images', { accept: 'application/vnd.openstack.images-v2.99' })).status).toBe(300);
  });

  it.each([
    ['OPTIONS', '/v2/images', 'GET, POST'],
    ['HEAD', '/v2/images', 'GET, POST'],
    ['PUT', '/v2/images', 'GET, POST'],
    ['HEAD', '/v2/images/x', 'GET, PATCH, DELETE'],
    ['POST', '/v2/images/x/file', 'PUT, GET'],
    ['GET', '/v2/images/x/actions/deactivate', 'POST'],
    ['GET', '/v2/images/x/tags/t', 'PUT, DELETE'],
    ['PATCH', '/v2/images/x/members/m', 'GET, PUT, DELETE'],
    ['POST', '/v2/info/import', 'GET'],
    ['DELETE', '/v2/schemas/image', 'GET'],
  ])('answers %s %s with 405 and Allow', async (method, path, allow) => {
    const answer = await rest.as().call({ method, path });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  });

  it.each([
    '/v2/images/',
    '/v2/schemas',
    '/v2/schemas/image/',
    '/v2/info',
    '/v2/shared-images',
    '/v2/images/x/tags',
    '/v2/images/x/actions/other',
    '/v2/schemas/metadefs/namespace',
    '/v2/Images',
  ])('answers GET %s with 404', async (path) => {
    expect((await rest.as().get(path)).status).toBe(404);
  });

  it('writes errors as text unless the caller names JSON', async () => {
    const path = `/v2/images/${randomUUID()}`;
    for (const accept of [undefined, '', '*/*', 'text/html', 'image/png']) {
      const answer = await rest.as().get(path, accept === undefined ? {} : { accept });
      expect(answer.status).toBe(404);
      expect(answer.headers['content-type']).toBe('text/plain; charset=UTF-8');
      expect(answer.text).toMatch(/^404 Not Found\n\n/);
    }
    const json = await rest.as().get(path, { accept: 'application/json' });
    expect(json.headers['content-type']).toBe('application/json');
    expect(JSON.parse(json.text)).toMatchObject({ code: '404 Not Found', title: 'Not Found' });
  });

  it('gives every answer a request id and takes the one of the client', async () => {
    const caller = rest.as();
    expect((await caller.get('/')).headers['x-openstack-request-id']).toMatch(/^req-[0-9a-f-]{36}$/);
    expect((await caller.get('/v2/images/x')).headers['x-openstack-request-id']).toMatch(/^req-/);
    const sent = await caller.get('/v2/images', { 'x-openstack-request-id': 'abc' });
    expect(sent.headers['x-openstack-request-id']).toBe('req-abc');
    expect((await caller.get('/v2/images', { 'x-openstack-request-id': 'a'.repeat(65) })).status).toBe(431);
    expect((await caller.get('/v2/images', { 'x-openstack-request-id': 'a b' })).status).toBe(400);
  });

  it('refuses a body where none belongs and ignores a Content-Type without one', async () => {
    const caller = rest.as();
    const image = await caller.create();
    for (const [method, path] of [
      ['GET', `/v2/images/${image.id}`],
      ['DELETE', `/v2/images/${image.id}`],
      ['POST', `/v2/images/${image.id}/actions/deactivate`],
      ['PUT', `/v2/images/${image.id}/tags/t`],
      ['GET', '/v2/schemas/image'],
    ]) {
      expect(await caller.status(method ?? '', path ?? '', 'x')).toBe(400);
    }
    expect((await caller.call({ path: '/v2/images', body: 'x' })).status).toBe(200);
    const headers = { 'content-type': 'application/octet-stream', 'content-length': '0' };
    expect((await caller.call({ method: 'DELETE', path: `/v2/images/${image.id}`, headers })).status).toBe(204);
  });

  it('answers information and schemas', async () => {
    const caller = rest.as();
    const methods = JSON.parse((await caller.get('/v2/info/import')).text) as Record<string, { value: string[] }>;
    expect(methods['import-methods']?.value).toEqual([]);
    expect((await caller.get('/v2/info/stores')).status).toBe(404);
    const schema = JSON.parse((await caller.get('/v2/schemas/image')).text) as {
      properties: Record<string, { readOnly?: boolean; is_base?: boolean; enum?: unknown[] }>;
      additionalProperties: object;
    };
    expect(schema.additionalProperties).toEqual({ type: 'string' });
    expect(schema.properties['status']?.readOnly).toBe(true);
    expect(schema.properties['kernel_id']?.is_base).toBe(false);
    expect(schema.properties['disk_format']?.enum).toEqual(expect.arrayContaining([null, 'qcow2', 'raw']));
    for (const name of ['images', 'member', 'members']) {
      expect(JSON.parse((await caller.get(`/v2/schemas/${name}`)).text)).toMatchObject({ name });
    }
  });

  it('serves health, readiness and metrics', async () => {
    expect((await httpCall(rest.url, { path: '/healthz' })).status).toBe(200);
    expect((await httpCall(rest.url, { path: '/readyz' })).status).toBe(200);
    expect((await httpCall(rest.url, { path: '/metrics' })).status).toBe(200);
    expect((await httpCall(rest.url, { path: '/metrics', method: 'POST' })).status).toBe(405);
  });
}
