import { randomBytes } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ImageStore } from '../../application/ports/image-store.js';
import { type ObjectKey, asObjectKey, asStoreId } from '../../base/brand.js';
import { GIB, MIB } from '../../base/units.js';
import { openFileStore } from './file-store.js';

const id = asStoreId('fast');
let parent: string;
let path: string;
let store: ImageStore;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'oriel-file-store-'));
  path = join(parent, 'store');
  store = await openFileStore({ id, path });
});
afterEach(() => rm(parent, { recursive: true }));

function key(text: string): ObjectKey {
  const parsed = asObjectKey(text);
  if (parsed === undefined) throw new Error(`not a key: ${text}`);
  return parsed;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

function put(name: string, bytes: Uint8Array, to = store) {
  return to.put(key(name), once(bytes), { signal: new AbortController().signal });
}

async function drain(name: string, lengthBytes: number): Promise<void> {
  for await (const chunk of store.read(key(name), { offsetBytes: 0, lengthBytes }, {}))
    expect(chunk.length).toBeGreaterThan(0);
}

describe('file store', () => {
  test('removes at open what an earlier run left unfinished, and keeps the objects', async () => {
    await put('kept', Buffer.from('kept'));
    await writeFile(join(path, 'tmp', 'left'), 'left');
    await mkdir(join(path, 'tmp', 'folder', 'inner'), { recursive: true });
    await symlink(parent, join(path, 'tmp', 'link'));
    const again = await openFileStore({ id, path });
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
    expect(await again.stat(key('kept'))).toEqual({ sizeBytes: 4 });
    expect((await stat(parent)).isDirectory()).toBe(true);
  });

  test('an object has another version once somebody touched it, by whatever means', async () => {
    await put('touched', Buffer.from('first'));
    const versions = [await store.versionOf?.(key('touched'))];
    const file = fileURLToPath(store.url(key('touched')));
    await writeFile(file, 'other');
    versions.push(await store.versionOf?.(key('touched')));
    await utimes(file, 1, 1);
    versions.push(await store.versionOf?.(key('touched')));
    expect(new Set(versions).size).toBe(3);
    expect(await store.versionOf?.(key('nothing'))).toBeUndefined();
    const [again, once] = [await store.versionOf?.(key('touched')), await store.versionOf?.(key('touched'))];
    expect(again).toBe(once);
  });

  test('delete removes what an interrupted put of the key left, and no other', async () => {
    let temporary = '';
    async function* interrupted(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('x'));
      const [name = ''] = await readdir(join(path, 'tmp'));
      temporary = name;
      expect(await store.delete(key('mine'))).toBe(false);
      expect(await readdir(join(path, 'tmp'))).toEqual([name]);
    }
    await store.put(key('mine'), interrupted(), { signal: new AbortController().signal });
    const [prefix = ''] = temporary.split('.');
    await writeFile(join(path, 'tmp', `${prefix}.old`), 'left by a crash');
    await writeFile(join(path, 'tmp', 'other.old'), 'of another key');
    expect(await store.delete(key('mine'))).toBe(true);
    expect(await readdir(join(path, 'tmp'))).toEqual(['other.old']);
  });

  test('writes zero runs of 64 KiB as holes', async () => {
    const bytes = Buffer.alloc(8 * MIB);
    bytes.fill(1, 4 * MIB, 4 * MIB + 1);
    await put('sparse', bytes);
    const found = await stat(fileURLToPath(store.url(key('sparse'))));
    expect(found.size).toBe(8 * MIB);
    expect(found.blocks * 512).toBeLessThanOrEqual(128 * 1024);
    expect((await readFile(fileURLToPath(store.url(key('sparse'))))).equals(bytes)).toBe(true);
  });

  test('flushes on the way and keeps every byte', async () => {
    const chunk = randomBytes(MIB);
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let turn = 0; turn < 150; turn++) {
        chunk.writeUInt32BE(turn);
        yield await Promise.resolve(chunk);
      }
    }
    await store.put(key('big'), source(), { signal: new AbortController().signal });
    let turn = 0;
    for await (const read of store.read(key('big'), { offsetBytes: 0, lengthBytes: 150 * MIB }, {})) {
      chunk.writeUInt32BE(turn++);
      expect(chunk.equals(read)).toBe(true);
    }
    expect(turn).toBe(150);
  });

  test('keeps the reserve free: LIMIT_EXCEEDED and no leftover', async () => {
    const full = await openFileStore({ id, path: join(parent, 'full'), reserveBytes: 1024 * 1024 * GIB });
    await expect(put('any', Buffer.from('x'), full)).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    expect(await full.capacity()).toMatchObject({ freeBytes: 0 });
    expect(await readdir(join(parent, 'full', 'tmp'))).toEqual([]);
  });

  test('counts what running puts have announced', async () => {
    const freeBytes = (await store.capacity())?.freeBytes ?? 0;
    const expectedSizeBytes = Math.floor(freeBytes * 0.6);
    const signal = new AbortController().signal;
    async function* nested(): AsyncGenerator<Uint8Array> {
      await expect(
        store.put(key('second'), once(Buffer.from('x')), { signal, expectedSizeBytes }),
      ).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
      yield Buffer.from('x');
    }
    await store.put(key('first'), nested(), { signal, expectedSizeBytes });
    await store.put(key('third'), once(Buffer.from('x')), { signal, expectedSizeBytes });
  });

  test('does not follow a symbolic link in the place of an object', async () => {
    await put('object', Buffer.from('mine'));
    const file = fileURLToPath(store.url(key('object')));
    await writeFile(join(parent, 'secret'), 'secret');
    await rm(file);
    await symlink(join(parent, 'secret'), file);
    await expect(drain('object', 1)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(store.stat(key('object'))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(await store.delete(key('object'))).toBe(true);
    expect(await readFile(join(parent, 'secret'), 'utf8')).toBe('secret');
  });

  test('does not follow a symbolic link in the place of a folder', async () => {
    await put('object', Buffer.from('mine'));
    const folder = dirname(fileURLToPath(store.url(key('object'))));
    await rename(folder, join(parent, 'elsewhere'));
    await symlink(join(parent, 'elsewhere'), folder);
    for (const act of [() => drain('object', 1), () => store.stat(key('object')), () => store.delete(key('object'))]) {
      await expect(act()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    }
    expect(await readdir(join(parent, 'elsewhere'))).toEqual(['object']);
  });

  test('tells an object that became shorter while it was read: DATA_CORRUPT', async () => {
    await put('shrinking', randomBytes(8 * MIB));
    const consume = async (): Promise<void> => {
      for await (const chunk of store.read(key('shrinking'), { offsetBytes: 0, lengthBytes: 8 * MIB }, {})) {
        expect(chunk.length).toBe(MIB);
        await truncate(fileURLToPath(store.url(key('shrinking'))), MIB);
      }
    };
    await expect(consume()).rejects.toMatchObject({ reason: 'DATA_CORRUPT' });
  });

  test('says UNAVAILABLE once its folder is gone', async () => {
    await put('object', Buffer.from('mine'));
    await rename(path, join(parent, 'unmounted'));
    await mkdir(path);
    for (const act of [() => drain('object', 1), () => store.stat(key('object')), () => store.delete(key('object'))]) {
      await expect(act()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    }
    await rm(path, { recursive: true });
    await expect(store.check()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(put('any', Buffer.from('x'))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(openFileStore({ id, path: '/dev/null/store' })).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  });

  test('opens through a symbolic link that the operator gave', async () => {
    await symlink(path, join(parent, 'link'));
    const linked = await openFileStore({ id, path: join(parent, 'link') });
    await put('through', Buffer.from('x'), linked);
    expect(await store.stat(key('through'))).toEqual({ sizeBytes: 1 });
  });
});

describe('a store that the node knows', () => {
  let remembered: string | undefined;
  const open = (): Promise<ImageStore> =>
    openFileStore({
      id,
      path,
      memory: { id: remembered, remember: (seen) => Promise.resolve(void (remembered = seen)) },
    });
  const actions = (of: ImageStore): readonly (() => Promise<unknown>)[] => [
    () => of.stat(key('object')),
    () => of.versionOf?.(key('object')) ?? Promise.resolve(),
    () => of.read(key('object'), { offsetBytes: 0, lengthBytes: 1 }, {})[Symbol.asyncIterator]().next(),
    () => of.delete(key('object')),
    () => put('other', Buffer.from('x'), of),
    () => of.list?.()[Symbol.asyncIterator]().next() ?? Promise.resolve(),
    () => of.check(),
    () => of.capacity(),
  ];
  const unmount = async (): Promise<void> => {
    await rename(path, join(parent, 'disk'));
    await mkdir(path);
  };
  const mount = async (): Promise<void> => {
    await rm(path, { recursive: true, force: true });
    await rename(join(parent, 'disk'), path);
  };

  beforeEach(async () => {
    remembered = undefined;
    store = await open();
    await put('object', Buffer.from('mine'));
  });

  test('is not available while its disk is not mounted, says what to do, and heals when it is', async () => {
    await unmount();
    const again = await open();
    for (const act of actions(again)) {
      await expect(act()).rejects.toThrow(/mount the disk/);
    }
    expect(await readdir(path)).toEqual([]);
    await mount();
    expect(await again.stat(key('object'))).toEqual({ sizeBytes: 4 });
    await again.check();
  });

  test('is not available without its folder, which is not made', async () => {
    await rename(path, join(parent, 'disk'));
    const again = await open();
    await expect(again.check()).rejects.toThrow(/mount the disk/);
    expect(await readdir(parent)).toEqual(['disk']);
    await mount();
    await again.check();
  });

  test('tells absent objects from an absent disk while it runs, also where another disk is mounted', async () => {
    await store.check();
    expect(await store.stat(key('none'))).toBeUndefined();
    await unmount();
    await openFileStore({ id, path });
    for (const act of actions(store).slice(0, -1)) await expect(act()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await mount();
    expect(await store.delete(key('none'))).toBe(false);
    expect(await store.delete(key('object'))).toBe(true);
  });

  test('of an earlier release gets its mark, and nodes that share a folder share it', async () => {
    await rm(join(path, 'store-id'));
    remembered = undefined;
    await (await open()).check();
    const first: string | undefined = remembered;
    expect(first).toMatch(/^[0-9a-f-]{36}$/);
    remembered = undefined;
    await open();
    expect(remembered).toBe(first);
    expect((await readdir(path)).sort()).toEqual(['objects', 'store-id', 'tmp']);
  });
});
