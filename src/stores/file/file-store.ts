import { constants } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { type FileHandle, link, lstat, open, readdir, realpath, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ByteRange, Capacity, ImageStore, PutOptions, StoredObject } from '../../application/ports/image-store.js';
import type { ObjectKey, StoreId } from '../../base/brand.js';
import { failedWith, ServiceError } from '../../base/service-error.js';
import { MIB } from '../../base/units.js';
import { makeDurableFolder, syncFolder } from '../../hostfs/folder.js';
import { errnoOf, wrapFsError, wrappingFsErrors } from '../../hostfs/fs-error.js';
import { readAhead } from '../../hostfs/read-ahead.js';
import { SparseWriter } from '../../hostfs/sparse-writer.js';
import { keyNamed, type ObjectPlace, objectsFolder, placeOf, temporaryFolder } from './file-layout.js';
import { pullSource } from '../pull-source.js';
import { SpaceBudget } from './space-budget.js';
import { StoreMarker, type StoreMemory } from './store-marker.js';

export interface FileStoreOptions {
  readonly id: StoreId;
  /** The store's folder; that of a new store is made when it is not there. One node at a time may use it. */
  readonly path: string;
  /** By which a node knows the folder again; absent: whatever folder is there when the store is opened. */
  readonly memory?: StoreMemory;
  /** Bytes of the file system to leave free; default: a fiftieth of it, at most 256 MiB. */
  readonly reserveBytes?: number;
}

const FILE_MODE = 0o640;
/** The free space is looked at again after so many bytes of a put. */
const SPACE_CHECK_BYTES = 64 * MIB;

/**
 * Opens a store of objects in a folder and removes what puts of an earlier run left unfinished. UNAVAILABLE when the folder
 * cannot be made or read. A store that the node knows opens without its folder: it is UNAVAILABLE until that is there.
 */
export async function openFileStore(options: FileStoreOptions): Promise<ImageStore> {
  const store = new FileStore(options);
  await store.open().catch((error: unknown) => {
    if (options.memory?.id === undefined || !failedWith(error, 'UNAVAILABLE')) throw error;
  });
  return store;
}

class FileStore implements ImageStore {
  readonly id: StoreId;
  readonly type = 'file';
  readonly #path: string;
  readonly #marker: StoreMarker;
  readonly #space: SpaceBudget;
  /** Temporary files that running puts own; `delete` leaves them alone. */
  readonly #running = new Set<string>();
  /** The folder without symbolic links; as the operator named it until the store is open. */
  #root: string;
  #opening: Promise<void> | undefined;

  constructor({ id, path, memory, reserveBytes }: FileStoreOptions) {
    this.id = id;
    this.#path = path;
    this.#root = path;
    this.#marker = new StoreMarker(id, path, memory);
    this.#space = new SpaceBudget(path, reserveBytes);
  }

  /** Does so once; after a failure again. */
  async open(): Promise<void> {
    this.#opening ??= wrappingFsErrors(this.#doing('opening'), () => this.#open()).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (!this.#marker.isKnown)
      await wrappingFsErrors(this.#doing('making the folder that its "path" in the configuration names'), () =>
        makeDurableFolder(this.#path),
      );
    await this.#marker.check();
    // The operator may well give a symbolic link; below it none is followed.
    const root = await realpath(this.#path);
    await makeDurableFolder(objectsFolder(root));
    await makeDurableFolder(temporaryFolder(root));
    for (const name of await readdir(temporaryFolder(root))) {
      await rm(join(temporaryFolder(root), name), { recursive: true, force: true });
    }
    this.#root = root;
  }

  async put(
    key: ObjectKey,
    source: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<{ readonly sizeBytes: number }> {
    options.signal.throwIfAborted();
    await this.open();
    // Nothing is written to the disk below a mount point.
    await this.#checkFolder();
    if ((await this.stat(key)) !== undefined) throw this.#taken(key);
    const expectedSizeBytes = options.expectedSizeBytes ?? 0;
    const claim = await wrappingFsErrors(this.#doing('claiming room'), () => this.#space.claim(expectedSizeBytes));
    const place = placeOf(this.#root, key);
    const name = `${place.temporaryPrefix}${randomUUID()}`;
    const temporary = join(temporaryFolder(this.#root), name);
    this.#running.add(name);
    try {
      const sizeBytes = await this.#writeTemporary(temporary, source, options.signal, (writtenBytes) => {
        claim.outstandingBytes = Math.max(0, expectedSizeBytes - writtenBytes);
      });
      await this.#publish(temporary, place, key);
      return { sizeBytes };
    } catch (error) {
      // The first error is what the caller must hear; a file that cannot be removed now goes at the next open.
      await unlink(temporary).catch(() => undefined);
      throw error;
    } finally {
      this.#running.delete(name);
      this.#space.release(claim);
    }
  }

  async *read(
    key: ObjectKey,
    range: ByteRange,
    options: { readonly signal?: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    options.signal?.throwIfAborted();
    const file = await this.#openObject(key);
    try {
      const { size } = await wrappingFsErrors(this.#doing('reading'), () => file.stat());
      checkRange(key, range, size);
      yield* readAhead(file, range, options.signal);
    } catch (error) {
      throw wrapFsError(error, this.#doing('reading'));
    } finally {
      await file.close();
    }
  }

  async stat(key: ObjectKey): Promise<{ readonly sizeBytes: number } | undefined> {
    await this.open();
    const { path, folder } = placeOf(this.#root, key);
    return wrappingFsErrors(this.#doing('looking up an object'), async () => {
      if (!(await this.#isInside(folder))) return undefined;
      const found = await lstat(path).catch(undefinedWhenMissing);
      if (found === undefined) return this.#absent();
      if (!found.isFile()) throw this.#foreign(key);
      return { sizeBytes: found.size };
    });
  }

  async versionOf(key: ObjectKey): Promise<string | undefined> {
    await this.open();
    const { path } = placeOf(this.#root, key);
    return wrappingFsErrors(this.#doing('looking up an object'), async () => {
      const found = await lstat(path, { bigint: true }).catch(undefinedWhenMissing);
      // The time of change, too: a program may set that of modification as it likes.
      return found === undefined
        ? this.#absent()
        : [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join('.');
    });
  }

  async delete(key: ObjectKey): Promise<boolean> {
    await this.open();
    const place = placeOf(this.#root, key);
    return wrappingFsErrors(this.#doing('deleting'), async () => {
      for (const name of await readdir(temporaryFolder(this.#root))) {
        if (!name.startsWith(place.temporaryPrefix) || this.#running.has(name)) continue;
        await rm(join(temporaryFolder(this.#root), name), { force: true });
      }
      if (!(await this.#isInside(place.folder))) return false;
      // Not flushed: whoever deletes keeps a row about it until it is done, and after a crash deletes again.
      const removed = await unlink(place.path)
        .then(() => true)
        .catch(undefinedWhenMissing);
      if (removed === undefined) await this.#absent();
      return removed === true;
    });
  }

  async *list(): AsyncGenerator<StoredObject> {
    await this.open();
    await this.#checkFolder();
    const root = objectsFolder(this.#root);
    for (const first of await this.#names(root))
      for (const second of await this.#names(join(root, first)))
        for (const name of await this.#names(join(root, first, second))) {
          const object = await this.#stored(join(root, first, second, name), name);
          if (object !== undefined) yield object;
        }
  }

  async capacity(): Promise<Capacity> {
    await this.open();
    return wrappingFsErrors(this.#doing('asking for free space'), () => this.#space.capacity());
  }

  async check(): Promise<void> {
    await this.open();
    await this.#checkFolder();
    const path = join(temporaryFolder(this.#root), `probe.${randomUUID()}`);
    await wrappingFsErrors(this.#doing('checking'), async () => {
      try {
        const file = await open(path, newFileFlags(), FILE_MODE);
        try {
          await file.write(Buffer.from('probe'), 0, 5, 0);
          await file.datasync();
        } finally {
          await file.close();
        }
        await readdir(objectsFolder(this.#root));
      } finally {
        await rm(path, { force: true });
      }
    }).catch((error: unknown) => {
      // A full store is no reason to say that the store takes nothing ever, but it does take nothing now.
      throw error instanceof ServiceError && error.reason === 'LIMIT_EXCEEDED'
        ? new ServiceError('UNAVAILABLE', error.message, { cause: error })
        : error;
    });
  }

  url(key: ObjectKey): string {
    return pathToFileURL(placeOf(this.#root, key).path).href;
  }

  /** Writes the source into a new file, durable, and returns its size. */
  async #writeTemporary(
    path: string,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    onProgress: (writtenBytes: number) => void,
  ): Promise<number> {
    const doing = this.#doing('writing');
    const file = await wrappingFsErrors(doing, () => open(path, newFileFlags(), FILE_MODE));
    const writer = new SparseWriter(file);
    try {
      let nextSpaceCheck = SPACE_CHECK_BYTES;
      await pullSource(source, signal, async (chunk) => {
        await wrappingFsErrors(doing, () => writer.write(chunk));
        onProgress(writer.sizeBytes);
        if (writer.sizeBytes < nextSpaceCheck) return;
        nextSpaceCheck = writer.sizeBytes + SPACE_CHECK_BYTES;
        await wrappingFsErrors(doing, () => this.#space.checkWhileWriting(writer.sizeBytes));
      });
      await wrappingFsErrors(doing, () => writer.finish());
      signal.throwIfAborted();
      return writer.sizeBytes;
    } finally {
      await writer.settle();
      await file.close();
    }
  }

  /** The names in a folder of objects; none when it is no folder, or a symbolic link. */
  async #names(folder: string): Promise<readonly string[]> {
    return wrappingFsErrors(this.#doing('listing'), async () => {
      const found = await lstat(folder).catch(undefinedWhenMissing);
      return found?.isDirectory() === true ? await readdir(folder) : [];
    });
  }

  /** The object that this file is; undefined: it is somebody else's, or gone by now. */
  async #stored(path: string, name: string): Promise<StoredObject | undefined> {
    const key = keyNamed(name);
    if (key === undefined || placeOf(this.#root, key).path !== path) return undefined;
    const found = await wrappingFsErrors(this.#doing('listing'), () => lstat(path).catch(undefinedWhenMissing));
    return found?.isFile() === true ? { key, modifiedAtMs: found.mtimeMs } : undefined;
  }

  /** Gives the finished file its name, unless that is taken. A link never replaces anything, a rename would. */
  async #publish(temporary: string, place: ObjectPlace, key: ObjectKey): Promise<void> {
    await wrappingFsErrors(this.#doing('publishing'), async () => {
      await makeDurableFolder(place.folder);
      if (!(await this.#isInside(place.folder))) throw this.#foreign(key);
      try {
        await link(temporary, place.path);
        await unlink(temporary);
      } catch (error) {
        const code = errnoOf(error);
        if (code === 'EEXIST') throw this.#taken(key);
        if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EMLINK') throw error;
        // No hard links here (FAT, some FUSE and network file systems): the node is the store's only writer, so that
        // looking first is enough.
        if ((await this.stat(key)) !== undefined) throw this.#taken(key);
        await rename(temporary, place.path);
      }
      await syncFolder(place.folder);
    });
  }

  async #openObject(key: ObjectKey): Promise<FileHandle> {
    await this.open();
    const { path, folder } = placeOf(this.#root, key);
    return wrappingFsErrors(this.#doing('opening an object'), async () => {
      const inside = await this.#isInside(folder);
      const file = inside
        ? await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(undefinedWhenMissing)
        : undefined;
      if (file === undefined) await this.#absent();
      if (file === undefined) throw new ServiceError('NOT_FOUND', `store ${this.id} has no object ${key}`);
      return file;
    });
  }

  /** False when there is no such folder; UNAVAILABLE when a symbolic link leads elsewhere. */
  async #isInside(folder: string): Promise<boolean> {
    const real = await realpath(folder).catch(undefinedWhenMissing);
    if (real === undefined) {
      await this.#absent();
      await lstat(objectsFolder(this.#root));
      return false;
    }
    if (real === folder) return true;
    throw new ServiceError('UNAVAILABLE', `store ${this.id}: a folder of objects is a symbolic link`);
  }

  /** A store that is not mounted has no objects either: that must not read as if they had been deleted. */
  async #absent(): Promise<undefined> {
    await this.#marker.check();
    return undefined;
  }

  async #checkFolder(): Promise<void> {
    await wrappingFsErrors(this.#doing('checking its folder'), () => this.#marker.check());
  }

  #taken(key: ObjectKey): ServiceError {
    return new ServiceError('ALREADY_EXISTS', `store ${this.id} has an object ${key}`);
  }

  #foreign(key: ObjectKey): ServiceError {
    return new ServiceError('UNAVAILABLE', `store ${this.id}: object ${key} is not a regular file`);
  }

  #doing(what: string): string {
    return `store ${this.id}: ${what}`;
  }
}

function newFileFlags(): number {
  return constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
}

function undefinedWhenMissing(error: unknown): undefined {
  const code = errnoOf(error);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

function checkRange(key: ObjectKey, range: ByteRange, sizeBytes: number): void {
  const { offsetBytes, lengthBytes } = range;
  const whole = Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(lengthBytes);
  if (whole && offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= sizeBytes) return;
  throw new ServiceError(
    'RANGE_INVALID',
    `object ${key} has ${sizeBytes} bytes, asked for ${lengthBytes} at offset ${offsetBytes}`,
  );
}
