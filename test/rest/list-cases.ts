import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Rest } from './rest.js';

/** Lists against real images (reference §6.2); the query parser has tests of its own. */
export function listCases(rest: Rest): void {
  it('pages by next, which keeps every parameter', async () => {
    const caller = rest.as();
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push((await caller.create({ name: `n${n}`, tags: ['a', 'b'] })).id);
    const query = `?owner=${caller.project}&limit=2&tag=a&tag=b&sort=name:asc`;
    const first = JSON.parse((await caller.get(`/v2/images${query}`)).text) as Record<string, unknown>;
    expect(first['first']).toBe(`/v2/images${query}`);
    expect(first['schema']).toBe('/v2/schemas/images');
    expect(first['next']).toMatch(/^\/v2\/images\?owner=[^&]+&limit=2&tag=a&tag=b&sort=name:asc&marker=/);
    expect(await caller.listIds(query)).toEqual(ids);
    const newestFirst = await caller.listIds(`?owner=${caller.project}&limit=1`);
    expect([...newestFirst].sort()).toEqual([...ids].sort());
  });

  it('takes the id of an image as marker, answers 400 to unknown and invisible ones', async () => {
    const caller = rest.as();
    const a = await caller.create({ name: 'a' });
    const b = await caller.create({ name: 'b' });
    expect(await caller.listIds(`?owner=${caller.project}&sort=name:asc&marker=${a.id}`)).toEqual([b.id]);
    const hidden = await rest.as().create({ visibility: 'private' });
    for (const marker of [randomUUID(), 'x', hidden.id]) {
      expect((await caller.get(`/v2/images?marker=${marker}`)).status).toBe(400);
      expect((await caller.get(`/v2/images?marker=${marker}&size=abc`)).status).toBe(400);
    }
  });

  it('answers an empty list without next to limit=0 and to what nothing matches', async () => {
    const caller = rest.as();
    await caller.create();
    for (const query of ['limit=0', 'size=abc', 'visibility=', 'no_such_property=x']) {
      const page = JSON.parse((await caller.get(`/v2/images?${query}`)).text) as Record<string, unknown>;
      expect(page['images']).toEqual([]);
      expect(page['next']).toBeUndefined();
    }
  });

  it.each(['limit=-1', 'sort=owner', 'visibility=x', 'size_min=x', 'created_at=x', 'name=like:x', 'changes-since=1'])(
    'answers 400 to %s',
    async (query) => {
      expect((await rest.as().get(`/v2/images?${query}`)).status).toBe(400);
    },
  );

  it('filters', async () => {
    const caller = rest.as();
    const a = await caller.create({ name: 'a,b', min_ram: 5, tags: ['t', 'u'], os_distro: 'x', protected: true });
    const b = await caller.createActive(Buffer.from('12345'), { name: 'b' });
    const own = `owner=${caller.project}`;
    const cases: readonly [string, readonly string[]][] = [
      ['name=a,b', [a.id]],
      ['name=in:%22a,b%22,b', [a.id, b.id]],
      ['name=eq:b', [b.id]],
      [`id=${b.id}`, [b.id]],
      ['status=active', [b.id]],
      ['status=in:active,queued', [a.id, b.id]],
      ['disk_format=raw', [b.id]],
      ['container_format=in:bare,ovf', [b.id]],
      ['tag=t', [a.id]],
      ['tag=t&tag=u', [a.id]],
      ['tag=t&tag=z', []],
      ['os_distro=x', [a.id]],
      ['protected=true', [a.id]],
      ['protected=false', [b.id]],
      ['min_ram=5', [a.id]],
      ['min_ram_min=1', [a.id]],
      ['min_ram_max=4', [b.id]],
      ['size=5', [b.id]],
      ['size_min=5&size_max=5', [b.id]],
      ['size_min=6', []],
      [`checksum=${String(b['checksum'])}`, [b.id]],
      [`os_hash_value=${String(b['os_hash_value'])}`, [b.id]],
      [`created_at=gte:${String(a['created_at'])}`, [a.id, b.id]],
      ['created_at=lt:2000-01-01T00:00:00Z', []],
      ['updated_at=neq:2000-01-01', [a.id, b.id]],
      ['visibility=shared', [a.id, b.id]],
      ['visibility=private', []],
    ];
    for (const [query, expected] of cases) {
      const found = await caller.listIds(`?${own}&${query}`);
      expect([query, [...found].sort()]).toEqual([query, [...expected].sort()]);
    }
  });

  it('sorts', async () => {
    const caller = rest.as();
    const b = await caller.create({ name: 'b' });
    const a = await caller.create({ name: 'a' });
    const c = await caller.create({ name: 'c' });
    const own = `?owner=${caller.project}`;
    expect(await caller.listIds(`${own}&sort=name:asc`)).toEqual([a.id, b.id, c.id]);
    expect(await caller.listIds(`${own}&sort_key=name&sort_dir=desc`)).toEqual([c.id, b.id, a.id]);
    expect(await caller.listIds(`${own}&sort=id:asc`)).toEqual([a.id, b.id, c.id].sort());
    expect(await caller.listIds(`${own}&limit=1&sort=status,name`)).toEqual([c.id, b.id, a.id]);
  });

  it('shows whom what', async () => {
    const owner = rest.as();
    const member = rest.as();
    const stranger = rest.as();
    const tag = `tag=${randomUUID()}`;
    const make = (fields: Record<string, unknown>) => owner.create({ ...fields, tags: [tag.slice(4)] });
    const [hidden, secret, shared, open] = [
      await make({ os_hidden: true }),
      await make({ visibility: 'private' }),
      await make({ visibility: 'shared' }),
      await make({ visibility: 'community' }),
    ];
    const published = await rest.admin.create({ visibility: 'public', tags: [tag.slice(4)] });
    await owner.status('POST', `/v2/images/${shared.id}/members`, { member: member.project });
    const sorted = async (caller: typeof owner, query: string) => (await caller.listIds(`?${tag}${query}`)).sort();
    const set = (...images: { id: string }[]) => images.map(({ id }) => id).sort();
    expect(await sorted(owner, '')).toEqual(set(secret, shared, open, published));
    expect(await sorted(owner, '&os_hidden=true')).toEqual(set(hidden));
    expect(await sorted(stranger, '')).toEqual(set(published));
    expect(await sorted(stranger, '&visibility=community')).toEqual(set(open));
    expect(await sorted(stranger, '&visibility=all')).toEqual(set(open, published));
    expect(await sorted(member, '')).toEqual(set(published));
    expect(await sorted(member, '&member_status=pending')).toEqual(set(shared, published));
    await member.status('PUT', `/v2/images/${shared.id}/members/${member.project}`, { status: 'accepted' });
    expect(await sorted(member, '')).toEqual(set(shared, published));
    expect(await sorted(member, '&visibility=shared')).toEqual(set(shared));
    expect(await sorted(rest.admin, '')).toEqual(set(secret, shared, published));
  });
}
