import { describe, expect, test } from 'vitest';
import { asNodeId, asObjectKey, asStoreId } from '../base/brand.js';
import { GarbageCollector } from './garbage-collector.js';
import type { Catalog, Garbage } from './ports/catalog.js';
import { StoreRegistry } from './store-registry.js';

const nodeId = asNodeId('here');
const key = asObjectKey('x/u.data') ?? expect.fail();

describe('the garbage collector', () => {
  test('keeps garbage listed whose store is not configured now', async () => {
    const [deleted, forgotten]: [string[], Garbage[]] = [[], []];
    const store = { id: asStoreId('fast'), delete: (gone: string) => Promise.resolve(deleted.push(gone) > 0) } as never;
    const collector = new GarbageCollector({
      ...{ nodeId, ownsUnnamed: true, catalog: {} as Catalog },
      stores: new StoreRegistry([{ store, description: '', weight: 0, properties: new Map() }], asStoreId('fast')),
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      commands: {
        forgetGarbage: (rows: readonly Garbage[]) => Promise.resolve(void forgotten.push(...rows)),
      } as never,
    });
    const here = { nodeId, storeId: asStoreId('fast'), key };
    await collector.remove([{ nodeId, storeId: asStoreId('taken-out'), key }, here]);
    expect([deleted, forgotten]).toEqual([[key], [here]]);
  });
});
