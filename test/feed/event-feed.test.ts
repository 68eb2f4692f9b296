/** The feed over a real catalog of one node. */
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventFeed, type EventFeedOptions } from '../../src/application/event-feed.js';
import type { FeedMessage } from '../../src/application/feed-page.js';
import { systemTimer } from '../../src/bin/system-timer.js';
import { asImageId, asProjectId, type ImageId } from '../../src/base/brand.js';
import { Connection } from '../../src/catalog/connection.js';
import { openEmbeddedCatalog } from '../../src/catalog/embedded-catalog.js';
import type { LaneCatalog } from '../../src/catalog/lane-catalog.js';
import type { Caller } from '../../src/domain/caller.js';
import type { Image } from '../../src/domain/image.js';
import { eventually } from '../support/eventually.js';
import { tempFolder } from '../support/temp-folder.js';

const queued: Omit<Image & { status: 'queued' }, 'id'> = {
  ...{ version: 1, name: null, owner: asProjectId('p'), visibility: 'private', protected: false, osHidden: false },
  ...{ diskFormat: null, containerFormat: null, minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
  ...{ tags: [], properties: new Map(), status: 'queued' },
};
const admin: Caller = {
  ...{ kind: 'user', userId: 'u', projectId: asProjectId('p'), roles: new Set(['admin']), serviceRoles: new Set() },
};

let folder: Awaited<ReturnType<typeof tempFolder>>;
let catalog: LaneCatalog;
let feed: EventFeed;
let leave: AbortController;
let serial = 0;

async function open(options: Partial<EventFeedOptions> = {}, retentionMs?: number): Promise<void> {
  const retention = retentionMs === undefined ? {} : { operationRetentionMs: retentionMs, pruneEveryMs: 5 };
  catalog = await openEmbeddedCatalog({ path: path.join(folder.path, 'catalog.db'), ...retention });
  feed = new EventFeed({
    catalog,
    clock: { nowMs: () => 0 },
    timer: systemTimer,
    checkAge: () => undefined,
    refresh: () => undefined,
    ...options,
  });
}

beforeEach(async () => {
  folder = await tempFolder('feed');
  leave = new AbortController();
});
afterEach(async () => {
  feed.close();
  await catalog.close();
  await folder.remove();
});

async function create(): Promise<ImageId> {
  serial += 1;
  const id = asImageId(`00000000-0000-4000-8000-${String(serial).padStart(12, '0')}`);
  if (id === undefined) throw new Error('no id');
  await catalog.write([{ kind: 'insert-image', image: { ...queued, id } }], {
    opId: `op-${serial}`,
    subject: '',
  });
  return id;
}

type Messages = AsyncGenerator<FeedMessage, void, undefined>;
const watch = (after = ''): Messages => feed.watch(admin, { after, signal: leave.signal });
const messageOf = async (stream: Messages): Promise<FeedMessage> => {
  const next = await stream.next();
  if (next.done === true) throw new Error('the stream ended');
  return next.value;
};
const imageOf = async (stream: Messages): Promise<string | undefined> => (await messageOf(stream)).event?.imageId;

describe('the feed', () => {
  it('goes over many pages, to each watcher at its own pace', async () => {
    // What happens while a watcher deals with a page must not wait for the next heartbeat.
    await open({ heartbeatMs: 3_600_000 });
    const [fast, slow] = [watch(), watch()];
    await messageOf(fast);
    await messageOf(slow);
    const ids = await Promise.all(Array.from({ length: 250 }, create));
    const seen: (string | undefined)[] = [];
    while (seen.length < 250) seen.push(await imageOf(fast));
    expect(seen.toSorted()).toEqual(ids.toSorted());
    const late = await create();
    expect(await imageOf(fast)).toBe(late);
    for (const id of [...seen, late]) expect(await imageOf(slow)).toBe(id);
  });

  it('says where it stands when there is nothing else to say', async () => {
    await open({ heartbeatMs: 20 });
    const stream = watch();
    const first = await messageOf(stream);
    expect(first.event).toBeNull();
    await catalog.write([], { opId: 'nothing', subject: '' });
    const second = await messageOf(stream);
    expect(second.event).toBeNull();
    expect(second.token).not.toBe(first.token);
  });

  it('knows a token whose events were forgotten', async () => {
    await open({}, -1000);
    const stream = watch();
    const { token } = await messageOf(stream);
    for (let count = 0; count < 3; count += 1) await create();
    // The pruning keeps the newest of the three.
    const state = await eventually(
      () => catalog.read((reader) => reader.feedState()),
      ({ firstSeq }) => firstSeq === 3,
    );
    expect(state.lastSeq).toBe(3);
    await expect(watch(token).next()).rejects.toMatchObject({ reason: 'EVENTS_GONE' });
    expect((await messageOf(watch('1-2'))).token).toBe('1-2');
  });

  it('knows a token of what a restore took away, also when as much has happened since', async () => {
    await open();
    await create();
    await create();
    await catalog.close();
    // As a restore leaves it: what had happened since the backup is gone, and a new epoch began.
    const file = new Connection(path.join(folder.path, 'catalog.db'), 'writer');
    file.run('delete from ops where seq = 2');
    file.run("update meta set value = 2 where name = 'epoch'");
    file.close();
    await open();
    await create();
    await create();
    await expect(watch('1-2').next()).rejects.toMatchObject({ reason: 'EVENTS_GONE' });
    await expect(watch('3-1').next()).rejects.toMatchObject({ reason: 'EVENTS_GONE' });
    const kept = watch('1-1');
    expect((await messageOf(kept)).token).toBe('1-1');
    expect((await messageOf(kept)).token).toBe('2-2');
  });

  it('takes so many watchers, and forgets those who leave', async () => {
    await open({ watchersMax: 2 });
    const [first, second] = [watch(), watch()];
    await messageOf(first);
    await messageOf(second);
    await expect(watch().next()).rejects.toMatchObject({ reason: 'TOO_MANY_WATCHERS' });
    await first.return();
    const third = watch();
    await messageOf(third);
    const ends = [second.next(), third.next()];
    leave.abort();
    for (const end of ends) expect((await end).done).toBe(true);
    expect(feed.watchers).toBe(0);
  });

  it('ends every stream when it is closed, and after its time', async () => {
    await open({ streamMs: 30 });
    const timed = watch();
    await messageOf(timed);
    expect((await timed.next()).done).toBe(true);
    const closed = watch();
    await messageOf(closed);
    const end = closed.next();
    feed.close();
    expect((await end).done).toBe(true);
    await expect(watch().next()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  });
});
