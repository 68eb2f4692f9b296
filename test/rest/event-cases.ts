import { expect, it } from 'vitest';
import type { EventStream, StreamedEvent } from '../support/event-stream.js';
import type { Rest } from './rest.js';

/** The feed of changes (docs/events.md). */
export function eventCases(rest: Rest): void {
  it('tells an owner what happens to an image, in order', async () => {
    const owner = rest.as();
    const stream = await owner.watch();
    const { id } = await owner.createActive(Buffer.from('bytes of an image'), { name: 'watched' });
    await owner.patch(id, [{ op: 'replace', path: '/name', value: 'renamed' }]);
    await owner.status('POST', `/v2/images/${id}/actions/deactivate`);
    await owner.status('DELETE', `/v2/images/${id}`);
    const events = await stream.until(({ kind }) => kind === 'image_deleted');
    stream.close();
    expect(events.map((event) => [event.kind, event.image_version, event.image_status])).toEqual([
      ['image_created', 1, 'queued'],
      ['image_updated', 2, 'saving'],
      ['image_updated', 3, 'active'],
      ['image_updated', 4, 'active'],
      ['image_updated', 5, 'deactivated'],
      ['image_deleted', 6, undefined],
    ]);
    expect(new Set(events.map((event) => event.image_id))).toEqual(new Set([id]));
    expect(events[0]).not.toHaveProperty('member_id');
    expect(Math.abs(Date.parse(events[0]?.occurred_at ?? '') - Date.now())).toBeLessThan(60_000);
  });

  it('tells each caller what it may know, and one who loses an image that it did', async () => {
    const [owner, member, stranger] = [rest.as(), rest.as(), rest.as()];
    const callers = [owner, rest.admin, member, stranger];
    const streams = await Promise.all(callers.map((caller) => caller.watch()));
    const [first] = streams;
    const told: StreamedEvent[] = [];
    // What a caller may see counts when it is told: nothing follows before the owner was.
    const happened = async (what: Promise<unknown>): Promise<void> => {
      await what;
      const event = await first?.next();
      if (event !== undefined) told.push(event);
    };
    await happened(owner.create({ visibility: 'private' }));
    await happened(owner.create());
    const id = told[1]?.image_id ?? '';
    const members = `/v2/images/${id}/members`;
    const show = (visibility: string) => owner.patch(id, [{ op: 'replace', path: '/visibility', value: visibility }]);
    await happened(owner.status('POST', members, { member: member.project }));
    await happened(member.status('PUT', `${members}/${member.project}`, { status: 'accepted' }));
    await happened(owner.patch(id, [{ op: 'add', path: '/seen', value: 'yes' }]));
    await happened(show('private'));
    await happened(owner.patch(id, [{ op: 'add', path: '/seen', value: 'no' }]));
    await happened(show('shared'));
    await happened(owner.status('DELETE', `${members}/${member.project}`));
    await happened(owner.patch(id, [{ op: 'add', path: '/seen', value: 'no longer' }]));
    await happened(owner.status('POST', members, { member: member.project }));
    await happened(owner.status('DELETE', `/v2/images/${id}`));
    const fence = await owner.create({ visibility: 'community' });
    const rests = await Promise.all(streams.map((stream) => stream.until((event) => event.image_id === fence.id)));
    for (const stream of streams) stream.close();
    const [ofOwner, ofAdmin, ofMember, ofStranger] = [[...told, ...(rests[0] ?? [])], ...rests.slice(1)];
    expect(ofOwner.map(({ kind }) => kind)).toEqual([
      ...['image_created', 'image_created', 'member_created', 'member_updated', 'image_updated', 'image_updated'],
      ...['image_updated', 'image_updated', 'member_deleted', 'image_updated', 'member_created', 'image_deleted'],
      'image_created',
    ]);
    expect(ofAdmin).toEqual(ofOwner);
    expect(ofMember?.map(({ kind, image_version, member_status }) => [kind, image_version, member_status])).toEqual([
      ['member_created', undefined, 'pending'],
      ['member_updated', undefined, 'accepted'],
      ['image_updated', 2, undefined],
      ['image_withdrawn', 3, undefined],
      ['image_updated', 5, undefined],
      ['member_deleted', undefined, undefined],
      ['member_created', undefined, 'pending'],
      ['image_deleted', 7, undefined],
      ['image_created', 1, undefined],
    ]);
    expect(ofStranger?.map(({ image_id }) => image_id)).toEqual([fence.id]);
  });

  it('goes on after a token, or after the id that a browser sends again', async () => {
    const owner = rest.as();
    const stream = await owner.watch();
    const start = stream.token;
    const ids = [(await owner.create()).id, (await owner.create()).id, (await owner.create()).id];
    const events = await stream.until((event) => event.image_id === ids[2]);
    stream.close();
    const after = async (opened: Promise<EventStream>): Promise<string[]> => {
      const again = await opened;
      const rest = await again.until((event) => event.image_id === ids[2]);
      again.close();
      return rest.map((event) => event.image_id);
    };
    expect(await after(owner.watch(start))).toEqual(ids);
    expect(await after(owner.watch(events[0]?.token))).toEqual(ids.slice(1));
    // The header is newer than the URL that it was connected with first.
    expect(await after(owner.watch(start, { 'last-event-id': events[1]?.token ?? '' }))).toEqual(ids.slice(2));
  });

  it('refuses a token of what it never had, what is no token, and who may not read', async () => {
    const path = '/oriel/v1/events';
    const gone = await rest.as().get(`${path}?after=1-999999999`);
    expect([gone.status, gone.headers['oriel-error-reason']]).toEqual([410, 'EVENTS_GONE']);
    expect(gone.text).toContain('list anew');
    expect((await rest.as().get(`${path}?after=x`)).status).toBe(400);
    expect((await rest.as('p', 'nothing').get(path)).status).toBe(403);
    expect((await rest.as().call({ method: 'POST', path })).status).toBe(405);
  });
}
