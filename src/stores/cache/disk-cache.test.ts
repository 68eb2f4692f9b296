import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CachedFile, CachedIdentity, ImageCache } from '../../application/ports/image-cache.js';
import { asImageId, type ImageId } from '../../base/brand.js';
import { UNIT_BYTES } from '../../base/units.js';
import { tempFolder } from '../../../test/support/temp-folder.js';
import { openDiskCache } from './disk-cache.js';

const UNIT = randomBytes(UNIT_BYTES);
const MAP = randomBytes(100);

let folder: Awaited<ReturnType<typeof tempFolder>>;
let nowMs = 1000;

beforeEach(async () => {
  folder = await tempFolder('disk-cache');
});

afterEach(() => folder.remove());

function open(units = 10): Promise<ImageCache> {
  return openDiskCache({ path: folder.path, maxBytes: units * UNIT_BYTES, clock: { nowMs: () => (nowMs += 1) } });
}

function newImage(units = 4, id = randomUUID() as string): CachedIdentity {
  return { imageId: asImageId(id) as ImageId, mapSha256: 'ab'.repeat(32), sizeBytes: units * UNIT_BYTES - 7 };
}

function openFile(cache: ImageCache, image: CachedIdentity): Promise<CachedFile> {
  return cache.open(image, () => MAP);
}

/** Caches the first units of an image. */
async function fill(cache: ImageCache, image: CachedIdentity, units: number): Promise<void> {
  const file = await openFile(cache, image);
  file.accessed(false);
  for (let unitIndex = 0; unitIndex < units; unitIndex += 1)
    await file.write(unitIndex, unitOf(image, unitIndex), false);
  await file.close();
}

function unitOf({ sizeBytes }: CachedIdentity, unitIndex: number): Uint8Array {
  return UNIT.subarray(0, Math.min(UNIT_BYTES, sizeBytes - unitIndex * UNIT_BYTES));
}

describe('the cache on disk', () => {
  it('gives back what was written, and only that', async () => {
    const cache = await open();
    const image = newImage();
    const file = await openFile(cache, image);
    expect(file.has(3)).toBe(false);
    expect(await file.read(3)).toBeUndefined();
    await file.write(3, unitOf(image, 3), false);
    await file.write(1, new Uint8Array(UNIT_BYTES), true);
    expect([0, 1, 2, 3, 4].map((unitIndex) => file.has(unitIndex))).toEqual([false, true, false, true, false]);
    expect(Buffer.compare((await file.read(3)) ?? Buffer.alloc(0), unitOf(image, 3))).toBe(0);
    expect(Buffer.compare((await file.read(1)) ?? Buffer.alloc(0), new Uint8Array(UNIT_BYTES))).toBe(0);
    expect(cache.heldBytes).toBe(UNIT_BYTES - 7);
    file.drop(3);
    expect(file.has(3)).toBe(false);
    expect(cache.heldBytes).toBe(0);
    await file.close();
    await cache.close();
  });

  it('knows after a restart what it held, how it was used and its maps, without having been closed', async () => {
    const first = await open();
    const image = newImage();
    await fill(first, image, 2);
    const file = await openFile(first, image);
    file.accessed(true);
    await file.close();
    await first.mark(image, { pinned: true, queued: true });
    // As a killed process leaves them.
    await writeFile(path.join(folder.path, image.imageId, 'facts.json.tmp'), '{');
    const second = await open();
    expect(second.heldBytes).toBe(2 * UNIT_BYTES);
    expect(second.get(image.imageId)).toMatchObject({
      hits: 1,
      pinned: true,
      queued: true,
      cachedBytes: 2 * UNIT_BYTES,
    });
    expect(await second.map(image.mapSha256)).toEqual(MAP);
    expect(second.all()).toHaveLength(1);
  });

  it('says that a unit is there that a crash kept from the disk, rather than keep bytes that nobody counts', async () => {
    const image = newImage();
    await fill(await open(), image, 2);
    await truncate(path.join(folder.path, image.imageId, 'data'), UNIT_BYTES + 5);
    const cache = await open();
    expect(cache.heldBytes).toBe(2 * UNIT_BYTES);
    const file = await openFile(cache, image);
    expect(file.has(1)).toBe(true);
    expect(await file.read(1)).toBeUndefined();
    file.drop(1);
    await file.write(1, unitOf(image, 1), false);
    expect(await file.read(1)).toBeDefined();
    await file.close();
  });

  it('drops what it cannot make sense of', async () => {
    const [good, bad] = [newImage(), newImage()];
    const first = await open();
    await fill(first, good, 1);
    await fill(first, bad, 1);
    await writeFile(path.join(folder.path, bad.imageId, 'facts.json'), '');
    await writeFile(path.join(folder.path, 'gone.1'), '');
    expect((await open()).all().map(({ imageId }) => imageId)).toEqual([good.imageId]);
    expect(await readdir(folder.path)).toEqual([good.imageId]);
  });

  it('makes room by removing what was read least recently, never what is pinned or being read', async () => {
    const cache = await open(10);
    const [pinned, oldest, older, reading] = [newImage(), newImage(), newImage(), newImage()];
    await cache.mark(pinned, { pinned: true });
    for (const image of [pinned, oldest, older]) await fill(cache, image, 3);
    const file = await openFile(cache, reading);
    await file.write(0, UNIT, false);
    expect(cache.get(oldest.imageId)?.cachedBytes).toBe(3 * UNIT_BYTES);
    await file.write(1, UNIT, false);
    expect(cache.get(oldest.imageId)).toBeUndefined();
    expect(cache.heldBytes).toBe(8 * UNIT_BYTES);
    const again = await openFile(cache, older);
    await file.write(2, UNIT, false);
    await file.write(3, unitOf(reading, 3), false);
    await again.write(3, unitOf(older, 3), false).catch(() => undefined);
    await expect(openFile(cache, newImage()).then((other) => other.write(0, UNIT, false))).rejects.toMatchObject({
      reason: 'LIMIT_EXCEEDED',
    });
    expect(cache.heldBytes).toBeLessThanOrEqual(10 * UNIT_BYTES);
    expect(cache.all().filter(({ cachedBytes }) => cachedBytes > 0)).toHaveLength(3);
  });

  it('keeps within its size also when that is less after a restart', async () => {
    const [older, newer] = [newImage(), newImage()];
    const first = await open(10);
    await fill(first, older, 4);
    await fill(first, newer, 4);
    await first.close();
    const second = await open(5);
    expect(second.heldBytes).toBeLessThanOrEqual(5 * UNIT_BYTES);
    expect(second.all().map(({ imageId }) => imageId)).toEqual([newer.imageId]);
    expect(await second.prune()).toEqual({ images: 0, bytes: 0 });
  });

  it('keeps nothing of an image whose data is another one now', async () => {
    const cache = await open();
    const image = newImage();
    await fill(cache, image, 2);
    const changed = { ...image, mapSha256: 'cd'.repeat(32) };
    const file = await openFile(cache, changed);
    expect(file.has(0)).toBe(false);
    expect(cache.heldBytes).toBe(0);
    await file.close();
  });

  it('lets readers go on with what was removed, and counts it no more', async () => {
    const cache = await open();
    const image = newImage();
    await fill(cache, image, 2);
    const file = await openFile(cache, image);
    expect(await cache.remove(image.imageId)).toBe(true);
    expect(await cache.remove(image.imageId)).toBe(false);
    expect(await readdir(folder.path)).toEqual([]);
    expect(await file.read(0)).toBeDefined();
    await file.write(2, UNIT, false);
    expect(file.has(2)).toBe(false);
    file.drop(0);
    await file.close();
    expect(cache.heldBytes).toBe(0);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('holds what it says when units are written at the same time', async () => {
    const cache = await open(3);
    const image = newImage(8);
    const file = await openFile(cache, image);
    const writes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) => file.write(n % 8, unitOf(image, n % 8), false)),
    );
    expect(writes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    expect(cache.heldBytes).toBeLessThanOrEqual(3 * UNIT_BYTES);
    expect(cache.get(image.imageId)?.cachedBytes).toBe(cache.heldBytes);
    await file.close();
  });

  it('marks an image only when that is on the disk', async () => {
    const cache = await open();
    const image = newImage();
    await fill(cache, image, 1);
    await rm(path.join(folder.path, image.imageId), { recursive: true });
    await expect(cache.mark(image, { pinned: true, queued: true })).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(cache.get(image.imageId)).toMatchObject({ pinned: false, queued: false });
  });

  it('says UNAVAILABLE when the disk refuses, and goes on', async () => {
    const cache = await open();
    const image = newImage();
    const file = await openFile(cache, image);
    await rm(path.join(folder.path, image.imageId), { recursive: true });
    await expect(file.write(0, UNIT, false)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(cache.heldBytes).toBe(0);
    expect(file.has(0)).toBe(false);
  });
});
