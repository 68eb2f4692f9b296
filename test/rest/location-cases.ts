import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Rest } from './rest.js';
import type { RestCaller } from './rest-caller.js';

const DIGEST = { os_hash_algo: 'sha512', os_hash_value: 'd'.repeat(128) };

/** Locations with one store, which are not shown: what the operator has not switched on (reference §6.9, §6.13). */
export function locationCases(rest: Rest): void {
  it('forbids changes of locations that are not shown, and shows none', async () => {
    const caller = rest.as();
    const { id } = await caller.createActive(randomBytes(10));
    const image = await caller.show(id);
    expect([image['locations'], image['direct_url'], image['stores']]).toEqual([undefined, undefined, undefined]);
    const value = { url: 'http://example.org/x', metadata: {} };
    for (const operation of [
      { op: 'add', path: '/locations/-', value },
      { op: 'add', path: '/locations/-', value: 7 },
      { op: 'remove', path: '/locations/0' },
      { op: 'replace', path: '/locations', value: [] },
    ])
      expect((await caller.patch(id, [operation])).status).toBe(403);
    expect((await caller.patch(id, [{ op: 'add', path: '/locations', value }])).status).toBe(400);
  });

  it('lists locations for administrators and services alone', async () => {
    const caller = rest.as();
    const { id } = await caller.createActive(randomBytes(10));
    const path = `/v2/images/${id}/locations`;
    expect((await caller.get(path)).status).toBe(403);
    expect((await rest.as().get(path)).status).toBe(404);
    for (const who of [rest.admin, rest.as(caller.project, 'service')]) {
      const answer = await who.get(path);
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toEqual([{ url: expect.stringMatching(/^file:\/\//) as string, metadata: {} }]);
    }
    const { id: empty } = await caller.create();
    expect((await rest.admin.get(`/v2/images/${empty}/locations`)).text).toBe('[]');
  });

  const post = (caller: RestCaller, id: string, body: unknown): Promise<number> =>
    caller.status('POST', `/v2/images/${id}/locations`, body);

  it.each([
    ['OSSA-2014-041: a path of the host', 'file:///etc/passwd'],
    ['OSSA-2015-002: the same by another name', 'filesystem:///etc/passwd'],
    ['the same in capitals', 'FILE:///etc/passwd'],
    ['the same after a blank', ' file:///etc/passwd'],
    ['LP1334196: credentials of the service', 'swift+config://ref1/container/object'],
    ['a store that is not there', 'rbd://pool/image'],
    ['an address of the cloud', 'http://169.254.169.254/latest'],
    ['credentials in the URL', 'https://user:secret@example.org/x'],
    ['no URL', 'image.raw'],
    ['nothing', ''],
    ['a long URL', `http://example.org/${'x'.repeat(255)}`],
  ])('refuses a location at once: %s', async (_what, url) => {
    const caller = rest.as();
    const { id } = await caller.create({ disk_format: 'raw', container_format: 'bare' });
    for (const who of [caller, rest.admin]) expect(await post(who, id, { url })).toBe(400);
    const answer = await rest.admin.call({ method: 'POST', path: `/v2/images/${id}/locations`, body: { url } });
    // OSSA-2013-002: nothing of what was sent comes back.
    expect(answer.text).not.toMatch(/secret|passwd|169\.254/);
    expect((await caller.show(id)).status).toBe('queued');
  });

  it('checks the body of a location, then who asks', async () => {
    const caller = rest.as();
    const { id } = await caller.create({ disk_format: 'raw', container_format: 'bare', visibility: 'community' });
    const url = 'http://example.org/x';
    for (const body of [
      [],
      {},
      { url: 7 },
      { url, validation_data: 7 },
      { url, validation_data: { os_hash_algo: 'sha512' } },
      { url, validation_data: { ...DIGEST, os_hash_algo: 'crc32' } },
      { url, validation_data: { ...DIGEST, os_hash_value: 'd' } },
      { url, validation_data: { ...DIGEST, os_hash_value: 'z'.repeat(128) } },
    ])
      expect(await post(caller, id, body)).toBe(400);
    expect(await post(rest.as(), id, { url })).toBe(403);
    expect(await post(rest.as(caller.project, 'reader'), id, { url })).toBe(403);
    expect(await post(caller, '11111111-2222-4333-8444-555555555555', { url })).toBe(404);
    expect(await caller.status('PUT', `/v2/images/${id}/locations`, {})).toBe(405);
  });

  it('has nothing to tell of stores when there is one', async () => {
    const caller = rest.as();
    const { id } = await caller.createActive(randomBytes(10));
    expect((await caller.get('/v2/info/stores')).status).toBe(404);
    expect((await rest.admin.get('/v2/info/stores/detail')).status).toBe(404);
    expect((await caller.get('/v2/info/stores/detail')).status).toBe(403);
    expect((await rest.admin.call({ method: 'DELETE', path: `/v2/stores/file/${id}` })).status).toBe(404);
    expect((await caller.get(`/v2/images/${id}/file?prefer=file`)).status).toBe(400);
  });
}
