import { describe, expect, test } from 'vitest';
import { eventText, parseEvents } from './event-text.js';

// What it writes is read back for every kind by the suite of catalogs (test/catalog-suite).
describe('the events of an operation', () => {
  test('are nothing where nobody is told', () => {
    expect(eventText([])).toBeNull();
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
