import { describe, expect, test } from 'vitest';
import { asImageId } from '../base/brand.js';
import { endDeletedImages } from './delayed-delete.js';
import { ImageTurns } from './image-turns.js';
import type { Catalog, CatalogReader, Effect } from './ports/catalog.js';

const id = asImageId('11111111-1111-4111-8111-111111111111') ?? expect.fail();

describe('a delayed deletion', () => {
  test('begins anew when the image was restored and deleted again since the list was read', async () => {
    const written: Effect[] = [];
    const image = { id, status: 'pending_delete', version: 4, updatedAtMs: 0 };
    const reader = { pendingDeletes: () => [id], image: () => image } as unknown as CatalogReader;
    const catalog = {
      read: <T>(query: (of: CatalogReader) => T) => Promise.resolve(query(reader)),
      write: (effects: readonly Effect[]) => Promise.resolve(void written.push(...effects)),
    } as unknown as Catalog;
    const context = {
      ...{ catalog, clock: { nowMs: () => 1000 }, ids: { uuid: () => 'op' }, turns: new ImageTurns() },
    };
    image.updatedAtMs = 990;
    await endDeletedImages(context as never, 100);
    expect(written).toEqual([]);
    image.updatedAtMs = 900;
    await endDeletedImages(context as never, 100);
    expect(written).toEqual([]);
    image.updatedAtMs = 899;
    await endDeletedImages(context as never, 100).catch(() => undefined);
    expect(written.map(({ kind }) => kind)).toContain('delete-image');
  });
});
