import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { storeMemories } from './store-memory.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-store-memory-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('what a node remembers of its stores', () => {
  test('is there after a restart', async () => {
    const data = join(folder, 'data');
    const memoryOf = await storeMemories(data);
    expect(memoryOf('fast').id).toBeUndefined();
    await memoryOf('fast').remember('one');
    await memoryOf('slow').remember('two');
    const again = await storeMemories(data);
    expect([again('fast').id, again('slow').id, again('other').id]).toEqual(['one', 'two', undefined]);
    expect(await readdir(data)).toEqual(['stores.json']);
  });

  test('is not taken for nothing when it cannot be read', async () => {
    for (const text of ['{', '[]', '']) {
      await writeFile(join(folder, 'stores.json'), text);
      await expect(storeMemories(folder)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    }
  });
});
