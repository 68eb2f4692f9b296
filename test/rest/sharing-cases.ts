import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Rest } from './rest.js';

/** Members (reference §6.11) and tags (§6.10). */
export function sharingCases(rest: Rest): void {
  it('follows the table of who may do what with members', async () => {
    const owner = rest.as();
    const member = rest.as();
    const other = rest.as();
    const stranger = rest.as();
    const { id } = await owner.create();
    const members = `/v2/images/${id}/members`;
    const one = `${members}/${member.project}`;
    const created = await owner.call({ method: 'POST', path: members, body: { member: member.project } });
    expect(created.status).toBe(200);
    expect(JSON.parse(created.text)).toMatchObject({
      member_id: member.project,
      image_id: id,
      status: 'pending',
      schema: '/v2/schemas/member',
    });
    expect(await owner.status('POST', members, { member: member.project })).toBe(409);
    expect(await rest.admin.status('POST', members, { member: other.project })).toBe(200);
    expect(await member.status('POST', members, { member: 'x' })).toBe(403);
    expect(await stranger.status('POST', members, { member: 'x' })).toBe(404);
    const rows = async (caller: typeof owner) =>
      (JSON.parse((await caller.get(members)).text) as { members: { member_id: string }[] }).members.length;
    expect([await rows(owner), await rows(member), await rows(rest.admin)]).toEqual([2, 1, 2]);
    expect((await stranger.get(members)).status).toBe(404);
    const shows = [owner, member, other, stranger, rest.admin].map((caller) => caller.status('GET', one));
    expect(await Promise.all(shows)).toEqual([200, 200, 404, 404, 200]);
    const sets = [owner, stranger, member].map((caller) => caller.status('PUT', one, { status: 'accepted' }));
    expect(await Promise.all(sets)).toEqual([403, 404, 200]);
    expect(await member.status('DELETE', one)).toBe(403);
    expect(await stranger.status('DELETE', one)).toBe(404);
    expect(await owner.status('DELETE', one)).toBe(204);
    expect(await owner.status('DELETE', one)).toBe(404);
    expect(await owner.status('POST', members, { member: member.project })).toBe(200);
    expect((await member.get(`/v2/images/${id}`)).status).toBe(200);
  });

  it.each([
    ['no body', undefined],
    ['an empty object', {}],
    ['an empty member', { member: '' }],
    ['a list', []],
    ['a number', { member: 7 }],
    ['300 characters', { member: 'x'.repeat(300) }],
  ])('answers 400 to a member of %s', async (_what, body) => {
    const owner = rest.as();
    const { id } = await owner.create();
    expect(await owner.status('POST', `/v2/images/${id}/members`, body)).toBe(400);
  });

  it('answers 400 to an unknown member status', async () => {
    const owner = rest.as();
    const { id } = await owner.create();
    const path = `/v2/images/${id}/members/${owner.project}`;
    expect(await owner.status('POST', `/v2/images/${id}/members`, { member: owner.project })).toBe(200);
    for (const body of [{ status: 'maybe' }, {}, { status: 1 }, []])
      expect(await owner.status('PUT', path, body)).toBe(400);
  });

  it('refuses members of images that are not shared', async () => {
    const owner = rest.as();
    for (const visibility of ['private', 'community']) {
      const { id } = await owner.create({ visibility });
      expect(await owner.status('POST', `/v2/images/${id}/members`, { member: 'x' })).toBe(403);
      expect(await owner.status('GET', `/v2/images/${id}/members`)).toBe(403);
      expect(await owner.status('GET', `/v2/images/${id}/members/x`)).toBe(404);
    }
  });

  it('keeps members over a change of visibility', async () => {
    const owner = rest.as();
    const member = rest.as();
    const { id } = await owner.create();
    await owner.status('POST', `/v2/images/${id}/members`, { member: member.project });
    const show = (visibility: string) => owner.patch(id, [{ op: 'replace', path: '/visibility', value: visibility }]);
    await show('private');
    expect((await member.get(`/v2/images/${id}`)).status).toBe(404);
    await show('shared');
    expect((await member.get(`/v2/images/${id}`)).status).toBe(200);
  });

  it('puts and removes tags', async () => {
    const owner = rest.as();
    const { id } = await owner.create({ visibility: 'community' });
    const tag = (name: string) => `/v2/images/${id}/tags/${name}`;
    for (const name of ['a', 'a', '%20', 'x'.repeat(255)]) {
      expect(await owner.status('PUT', tag(name))).toBe(204);
    }
    expect((await owner.show(id))['tags']).toHaveLength(3);
    expect(await owner.status('DELETE', tag('a'))).toBe(204);
    expect(await owner.status('DELETE', tag('a'))).toBe(404);
    expect(await owner.status('PUT', tag('a%2Fb'))).toBe(404);
    expect(await owner.status('PUT', tag('a%0Ab'))).toBe(400);
    expect(await owner.status('PUT', tag('x'.repeat(256)))).toBe(400);
    expect(await rest.as().status('PUT', tag('b'))).toBe(403);
    expect(await owner.status('PUT', `/v2/images/${randomUUID()}/tags/a`)).toBe(404);
    for (let n = 0; n < 126; n += 1) expect(await owner.status('PUT', tag(`t${n}`))).toBe(204);
    expect(await owner.status('PUT', tag('one-too-many'))).toBe(413);
  });
}
