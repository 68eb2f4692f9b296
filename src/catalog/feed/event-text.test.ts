import { describe, expect, test } from 'vitest';
import { asImageId } from '../../base/brand.js';
import type { Image } from '../../domain/image.js';
import { eventText, parseEvents } from './event-text.js';

// What it writes is read back for every kind by the suite of catalogs (test/catalog-suite).
describe('the events of an operation', () => {
  test('are nothing where nobody is told', () => {
    expect(eventText([])).toBeNull();
  });

  test('are none for what happens to an image that is deleted to everyone', () => {
    const id = asImageId('00000000-0000-4000-8000-000000000001') ?? expect.fail();
    const data = { sizeBytes: 1, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null };
    const before: Image = {
      ...{ id, version: 1, name: null, owner: null, visibility: 'private', protected: false, osHidden: false },
      ...{ diskFormat: 'raw', containerFormat: 'bare', minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
      ...{ tags: [], properties: new Map(), status: 'pending_delete', data: { ...data, locations: [], fileMap: null } },
    };
    expect(eventText([{ kind: 'update-image', before, after: { ...before, version: 2 } }])).toBeNull();
  });

  test('of kinds that a newer release wrote are left out', () => {
    const id = '00000000-0000-4000-8000-000000000001';
    expect(parseEvents(`[["job",7],["md","${id}","p"]]`)).toEqual([
      { kind: 'member-deleted', imageId: id, memberId: 'p' },
    ]);
  });

  test.each(['{}', '[1]', '[["c","x",1,"queued"]]', '[["c","00000000-0000-4000-8000-000000000001",1,"new"]]'])(
    'that are damaged are refused: %s',
    (text) => {
      expect(() => parseEvents(text)).toThrow(/stored events/);
    },
  );
});
