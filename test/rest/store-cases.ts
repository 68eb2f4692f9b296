import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { FAST, SLOW } from '../support/two-stores.js';
import type { Rest } from './rest.js';
import type { ImageBody, RestCaller } from './rest-caller.js';

interface LocationBody {
  readonly url: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Several stores and locations that are shown (reference §6.6, §6.7, §6.9, §6.13, §14.1). */
export function storeCases(rest: Rest, copy: (imageId: string, store: string) => Promise<void>): void {
  const locationsOf = (image: ImageBody): readonly LocationBody[] => image['locations'] as readonly LocationBody[];
  /** An image in both stores. */
  const inBoth = async (caller: RestCaller, fields: Readonly<Record<string, unknown>> = {}): Promise<ImageBody> => {
    const { id } = await caller.createActive(randomBytes(1000), fields);
    await copy(id, SLOW);
    return caller.show(id);
  };
  const remove = (caller: RestCaller, store: string, id: string): Promise<number> =>
    caller.status('DELETE', `/v2/stores/${store}/${id}`);

  it('stores data where the uploader wants it', async () => {
    const caller = rest.as();
    const answer = await caller.call({
      method: 'POST',
      path: '/v2/images',
      body: { disk_format: 'raw', container_format: 'bare' },
    });
    expect(answer.headers['openstack-image-store-ids']).toBe(`${FAST},${SLOW}`);
    const { id } = JSON.parse(answer.text) as ImageBody;
    const bytes = randomBytes(100);
    expect((await caller.upload(id, bytes, { 'x-image-meta-store': 'other' })).status).toBe(400);
    expect((await caller.upload(id, bytes, { 'x-image-meta-store': SLOW })).status).toBe(204);
    expect((await caller.show(id))['stores']).toBe(SLOW);
    expect((await caller.createActive(bytes))['stores']).toBe(FAST);
  });

  it('tells of the stores, and administrators more', async () => {
    const caller = rest.as();
    expect(JSON.parse((await caller.get('/v2/info/stores')).text)).toEqual({
      stores: [{ id: FAST, default: 'true' }, { id: SLOW }],
    });
    expect((await caller.get('/v2/info/stores/detail')).status).toBe(403);
    const { stores } = JSON.parse((await rest.admin.get('/v2/info/stores/detail')).text) as { stores: unknown[] };
    const data_dir = expect.stringMatching(/fast$/) as string;
    const properties = { data_dir, chunk_size: '1048576', thin_provisioning: 'True' };
    expect(stores[0]).toEqual({ id: FAST, default: 'true', type: 'file', weight: 10, properties });
    expect((await rest.as(caller.project, 'service').get('/v2/info/stores/detail')).status).toBe(200);
  });

  it('shows locations to the owner, administrators and services, and to nobody else (§13 D8)', async () => {
    const caller = rest.as();
    const image = await inBoth(caller, { visibility: 'community' });
    expect(image['stores']).toBe(`${FAST},${SLOW}`);
    expect(locationsOf(image)).toHaveLength(2);
    expect(image['direct_url']).toBe(locationsOf(image)[0]?.url);
    for (const who of [rest.admin, rest.as(caller.project, 'service')])
      expect(locationsOf(await who.show(image.id))).toHaveLength(2);
    const other = await rest.as().show(image.id);
    expect([other['locations'], other['direct_url']]).toEqual([[], undefined]);
    await rest.admin.status('POST', `/v2/images/${image.id}/actions/deactivate`);
    expect(locationsOf(await caller.show(image.id))).toEqual([]);
    expect(locationsOf(await rest.admin.show(image.id))).toHaveLength(2);
  });

  it('reads from the store that is preferred, of those that there are', async () => {
    const caller = rest.as();
    const { id } = await inBoth(caller);
    const status = async (query: string): Promise<number> =>
      (await caller.get(`/v2/images/${id}/file?${query}`)).status;
    expect(await status(`prefer=${SLOW}`)).toBe(200);
    expect(await status(`prefer=${SLOW},${FAST}`)).toBe(200);
    expect(await status('prefer=other')).toBe(400);
    expect(await status('prefer=')).toBe(400);
  });

  it('takes an image out of a store, for administrators, never out of the last', async () => {
    const caller = rest.as();
    const { id } = await inBoth(caller);
    expect(await remove(caller, FAST, id)).toBe(403);
    expect(await remove(rest.admin, 'other', id)).toBe(409);
    expect(await remove(rest.admin, FAST, '11111111-2222-4333-8444-555555555555')).toBe(404);
    expect(await remove(rest.admin, FAST, id)).toBe(204);
    expect((await caller.show(id))['stores']).toBe(SLOW);
    expect(await remove(rest.admin, FAST, id)).toBe(404);
    expect(await remove(rest.admin, SLOW, id)).toBe(403);
    expect((await caller.get(`/v2/images/${id}/file`)).status).toBe(200);
    const queued = await caller.create();
    expect(await remove(rest.admin, FAST, queued.id)).toBe(409);
  });

  it('OSSA-2016-006: never takes the last location away by a patch either', async () => {
    const caller = rest.as();
    const { id } = await inBoth(caller);
    const patch = async (who: RestCaller, operations: unknown[]): Promise<number> =>
      (await who.patch(id, operations)).status;
    const remove0 = { op: 'remove', path: '/locations/0' };
    expect(await patch(caller, [remove0])).toBe(403);
    expect(await patch(rest.admin, [{ op: 'remove', path: '/locations/2' }])).toBe(400);
    expect(await patch(rest.admin, [remove0, remove0])).toBe(403);
    expect(await patch(rest.admin, [{ op: 'replace', path: '/locations', value: [] }])).toBe(403);
    expect(locationsOf(await caller.show(id))).toHaveLength(2);
    expect(await patch(rest.admin, [remove0])).toBe(200);
    expect(await patch(rest.admin, [remove0])).toBe(403);
    expect(await caller.show(id)).toMatchObject({ status: 'active', stores: SLOW });
  });

  it('gives locations metadata and another order, and nothing else', async () => {
    const caller = rest.as();
    const image = await inBoth(caller);
    const [first, second] = locationsOf(image);
    const replace = (value: unknown) => rest.admin.patch(image.id, [{ op: 'replace', path: '/locations', value }]);
    const swapped = [
      { ...second, metadata: { where: 'there' } },
      { ...first, metadata: {} },
    ];
    const answer = await replace(swapped);
    expect(answer.status).toBe(200);
    // The store is shown, whether it was sent back or not.
    expect(locationsOf(await caller.show(image.id))).toEqual([
      { ...second, metadata: { where: 'there', store: 'slow' } },
      { ...first, metadata: { store: 'fast' } },
    ]);
    for (const value of [[swapped[0]], [...swapped, swapped[0]], [{ ...first, url: 'file:///etc/passwd' }, second], 7])
      expect((await replace(value)).status).toBe(400);
  });

  it("LP1546507: refuses the paths of stores, another image's and its own", async () => {
    const caller = rest.as();
    const hers = await inBoth(caller);
    const eve = rest.as();
    const his = await eve.create({ disk_format: 'raw', container_format: 'bare' });
    const value = { url: locationsOf(hers)[0]?.url, metadata: {} };
    const operations = [{ op: 'add', path: '/locations/-', value }];
    for (const who of [eve, rest.admin]) {
      expect((await who.patch(his.id, operations)).status).toBe(400);
      expect(await who.status('POST', `/v2/images/${his.id}/locations`, { url: value.url })).toBe(400);
    }
    expect((await caller.patch(hers.id, operations)).status).toBe(400);
    expect((await eve.patch(hers.id, operations)).status).toBe(404);
    await eve.call({ method: 'DELETE', path: `/v2/images/${his.id}` });
    expect((await caller.get(`/v2/images/${hers.id}/file`)).status).toBe(200);
  });
}
