import { randomUUID } from 'node:crypto';
import { readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  CachedFile,
  CachedIdentity,
  CachedImage,
  ImageCache,
  Pruned,
} from '../../application/ports/image-cache.js';
import type { Clock } from '../../application/ports/clock.js';
import { asImageId, type ImageId } from '../../base/brand.js';
import { ServiceError } from '../../base/service-error.js';
import { MIB, UNIT_BYTES } from '../../base/units.js';
import { makeDurableFolder } from '../../hostfs/folder.js';
import { wrappingFsErrors } from '../../hostfs/fs-error.js';
import { SpaceBudget } from '../file/space-budget.js';
import { CacheEntry, isCacheable } from './cache-entry.js';

/** Left free on the disk for what is no copy: a twentieth of it, at most this. */
const MAX_RESERVE_BYTES = 4096 * MIB;
/** The free space is looked at again after so many bytes. */
const SPACE_CHECK_BYTES = 32 * MIB;
/** Images that are noted; beyond that those of which least was read go, as when there is no room. */
const IMAGES_MAX = 10_000;

export interface DiskCacheOptions {
  /** The cache's folder; made when it is not there. One node at a time may use it. */
  readonly path: string;
  readonly maxBytes: number;
  readonly clock: Clock;
}

/**
 * Opens the cache and removes what is of no use: what an interrupted removal left, and what is more than may be kept now.
 * UNAVAILABLE: the folder cannot be made or read.
 */
export async function openDiskCache(options: DiskCacheOptions): Promise<ImageCache> {
  const root = options.path;
  return wrappingFsErrors('the cache: opening', async () => {
    await makeDurableFolder(root);
    const { blocks, bsize } = await statfs(root);
    const space = new SpaceBudget(root, Math.min(MAX_RESERVE_BYTES, Math.floor((blocks * bsize) / 20)));
    const entries: CacheEntry[] = [];
    for (const name of await readdir(root)) {
      const folder = join(root, name);
      const entry = asImageId(name) === undefined ? undefined : await CacheEntry.load(folder);
      if (entry?.identity.imageId === name) entries.push(entry);
      else await rm(folder, { recursive: true, force: true });
    }
    const cache = new DiskCache(options, space, entries);
    await cache.prune();
    return cache;
  });
}

class DiskCache implements ImageCache {
  readonly #root: string;
  readonly #clock: Clock;
  readonly #space: SpaceBudget;
  readonly #entries: Map<ImageId, CacheEntry>;
  readonly maxBytes: number;
  #heldBytes = 0;
  /** What may be written before the free space is looked at. */
  #uncheckedBytes = 0;
  /** Entries are made and removed one at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ path, maxBytes, clock }: DiskCacheOptions, space: SpaceBudget, entries: readonly CacheEntry[]) {
    this.#root = path;
    this.#clock = clock;
    this.#space = space;
    this.maxBytes = maxBytes;
    this.#entries = new Map(entries.map((entry) => [entry.identity.imageId, entry]));
    for (const { countedBytes } of entries) this.#heldBytes += countedBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  async open(identity: CachedIdentity, map: () => Uint8Array): Promise<CachedFile> {
    const entry = await this.#inTurn('opening', async () => {
      const found = await this.#entryOf(identity);
      // Before anything else has a turn: what is in use is not removed for want of room.
      found.users += 1;
      return found;
    });
    try {
      await wrappingFsErrors('the cache: keeping a map', () => entry.keepMap(map));
    } catch (error) {
      await this.#leave(entry);
      throw error;
    }
    return this.#fileOf(entry);
  }

  async map(mapSha256: string): Promise<Uint8Array | undefined> {
    for (const entry of this.#entries.values())
      if (entry.identity.mapSha256 === mapSha256)
        return wrappingFsErrors('the cache: reading a map', () => entry.map());
    return undefined;
  }

  all(): readonly CachedImage[] {
    const images = [...this.#entries.values()].map((entry) => entry.facts());
    return images.sort((a, b) => (a.imageId < b.imageId ? -1 : 1));
  }

  get(imageId: ImageId): CachedImage | undefined {
    return this.#entries.get(imageId)?.facts();
  }

  async mark(
    identity: CachedIdentity,
    { pinned, queued }: { readonly pinned?: boolean; readonly queued?: boolean },
  ): Promise<CachedImage> {
    return this.#inTurn('marking an image', async () => {
      const entry = await this.#entryOf(identity);
      await entry.mark({ pinned: pinned ?? entry.use.pinned, queued: queued ?? entry.use.queued });
      return entry.facts();
    });
  }

  async remove(imageId: ImageId): Promise<boolean> {
    return this.#inTurn('removing an image', async () => {
      const entry = this.#entries.get(imageId);
      if (entry !== undefined) await this.#remove(entry);
      return entry !== undefined;
    });
  }

  async prune(): Promise<Pruned> {
    let images = 0;
    let bytes = 0;
    while (this.#heldBytes > this.maxBytes || (await this.#isDiskFull())) {
      const goneBytes = await this.#removeOldest();
      if (goneBytes === undefined) break;
      if (goneBytes > 0) images += 1;
      bytes += goneBytes;
    }
    return { images, bytes };
  }

  async close(): Promise<void> {
    await this.#turn;
    for (const entry of this.#entries.values()) await entry.close();
  }

  #fileOf(entry: CacheEntry): CachedFile {
    return {
      get isRemoved() {
        return entry.removed;
      },
      has: (unitIndex) => entry.has(unitIndex),
      read: (unitIndex) => wrappingFsErrors('the cache: reading', () => entry.read(unitIndex)),
      write: (unitIndex, unit, isZero) => this.#write(entry, unitIndex, { unit, isZero }),
      drop: (unitIndex) => {
        this.#count(entry, -entry.drop(unitIndex));
      },
      accessed: (isHit) => {
        if (isHit) entry.use.hits += 1;
        entry.use.lastAccessedMs = this.#clock.nowMs();
        entry.touch();
      },
      close: () => this.#leave(entry),
    };
  }

  async #write(
    entry: CacheEntry,
    unitIndex: number,
    { unit, isZero }: { readonly unit: Uint8Array; readonly isZero: boolean },
  ): Promise<void> {
    if (entry.removed || entry.isTaken(unitIndex)) return;
    const claimedBytes = isZero ? 0 : unit.length;
    await wrappingFsErrors('the cache: writing', async () => {
      this.#count(entry, claimedBytes);
      let isKept = false;
      try {
        await this.#makeRoom(claimedBytes);
        // Another one may have begun meanwhile, or the image be gone.
        if (entry.removed || entry.isTaken(unitIndex)) return;
        await entry.write(unitIndex, unit, isZero);
        isKept = true;
      } finally {
        if (!isKept) this.#count(entry, -claimedBytes);
      }
      entry.use.lastModifiedMs = this.#clock.nowMs();
      entry.touch();
    });
  }

  /** Counts bytes of an entry as held, or no more; those of one that was removed went with it. */
  #count(entry: CacheEntry, bytes: number): void {
    if (entry.removed) return;
    entry.countedBytes += bytes;
    this.#heldBytes += bytes;
  }

  /** Removes images until what was claimed has room. LIMIT_EXCEEDED: there is none that may be removed. */
  async #makeRoom(claimedBytes: number): Promise<void> {
    this.#uncheckedBytes -= claimedBytes;
    const isDue = this.#uncheckedBytes < 0;
    while (this.#heldBytes > this.maxBytes || (isDue && (await this.#isDiskFull()))) {
      if ((await this.#removeOldest()) !== undefined) continue;
      throw new ServiceError(
        'LIMIT_EXCEEDED',
        `the cache is full: ${this.#heldBytes - claimedBytes} bytes of ${this.maxBytes}, and all are pinned or being read`,
      );
    }
    if (isDue) this.#uncheckedBytes = SPACE_CHECK_BYTES;
  }

  async #isDiskFull(): Promise<boolean> {
    return (await this.#space.capacity()).freeBytes < UNIT_BYTES;
  }

  /** Removes the image that was read least recently and returns what it held; undefined: none may be removed. */
  async #removeOldest(): Promise<number | undefined> {
    return this.#inTurn('making room', async () => {
      // Somebody else may have made room while this one waited.
      if (this.#heldBytes <= this.maxBytes && !(await this.#isDiskFull())) return 0;
      const oldest = this.#oldest(({ countedBytes }) => countedBytes > 0);
      return oldest === undefined ? undefined : this.#remove(oldest);
    });
  }

  #oldest(may: (entry: CacheEntry) => boolean): CacheEntry | undefined {
    let oldest: CacheEntry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.users > 0 || entry.use.pinned || !may(entry)) continue;
      if (oldest === undefined || entry.use.lastAccessedMs < oldest.use.lastAccessedMs) oldest = entry;
    }
    return oldest;
  }

  async #entryOf(identity: CachedIdentity): Promise<CacheEntry> {
    const { imageId, mapSha256, sizeBytes } = identity;
    const known = this.#entries.get(imageId);
    if (known?.identity.mapSha256 === mapSha256 && known.identity.sizeBytes === sizeBytes) return known;
    if (!isCacheable(sizeBytes))
      throw new ServiceError('LIMIT_EXCEEDED', `the cache takes images up to 1 TiB, image ${imageId} is larger`);
    if (known !== undefined) await this.#remove(known);
    if (this.#entries.size >= IMAGES_MAX) {
      const oldest = this.#oldest(() => true);
      if (oldest === undefined)
        throw new ServiceError('LIMIT_EXCEEDED', `the cache knows ${IMAGES_MAX} images already`);
      await this.#remove(oldest);
    }
    const nowMs = this.#clock.nowMs();
    const use = { hits: 0, lastAccessedMs: nowMs, lastModifiedMs: nowMs, pinned: false, queued: false };
    const entry = await CacheEntry.create(join(this.#root, imageId), identity, use);
    this.#entries.set(imageId, entry);
    return entry;
  }

  async #remove(entry: CacheEntry): Promise<number> {
    const { countedBytes, identity } = entry;
    this.#entries.delete(identity.imageId);
    this.#heldBytes -= countedBytes;
    await entry.remove(join(this.#root, `gone.${randomUUID()}`));
    return countedBytes;
  }

  async #leave(entry: CacheEntry): Promise<void> {
    await this.#inTurn('closing', async () => {
      entry.users -= 1;
      if (entry.users === 0) await entry.close();
    });
  }

  async #inTurn<T>(what: string, work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(() => wrappingFsErrors(`the cache: ${what}`, work));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
